-- wrk script: replay.lua with a pause of args[2] milliseconds before each request of a connection.
local folder = debug.getinfo(1, "S").source:sub(2):match("^(.*/)") or ""
dofile(folder .. "replay.lua")
local read, pause = init, 0

function init(args)
  read(args)
  pause = tonumber(args[2])
end

function delay()
  return pause
end
