"""Object names that have broken stores and clients."""

ODD_NAMES: tuple[str, ...] = (
    "plain",
    "with space",
    " leading and trailing ",
    "plus+plus",
    "percent%20not-a-space",
    "percent%",
    "ampersand&<angle>\"quote'",
    "question?mark#hash",
    "semi;colon:equals=comma,at@dollar$",
    "back\\slash|pipe^caret`tick{brace}[bracket]~tilde",
    "é-combining-e\u0301",
    "日本語/ключ/مفتاح",
    "emoji-🚀-astral",
    "new\u2028line separator",
    "/leading",
    "//double-leading",
    "a//b",
    "a///b/",
    "dir/",
    ".",
    "..",
    "../up",
    "a/../b",
    "a/./b",
    "...",
    "k" * 1024,
    "é" * 512,
    "tab\tin",
    "\x7fdelete",
)
CONTROL_NAMES: tuple[str, ...] = ("bell\x07", "unit\x1fseparator", "line\nfeed", "carriage\rreturn", "\x01first")
FILE_NAMES: tuple[str, ...] = tuple(  # what a file system can hold, for the clients that copy files
    name
    for name in ODD_NAMES
    if len(name.encode()) < 200 and not name.startswith("/") and "//" not in name and not name.endswith("/")
    if not {".", ".."} & set(name.split("/"))
)
