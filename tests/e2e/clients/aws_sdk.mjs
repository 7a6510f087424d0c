// Round trips with @aws-sdk/client-s3: node aws_sdk.mjs NAMES.json BUCKET_OF_MANY. Exits 1 with the first difference.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { createHash } from "node:crypto";

const require = createRequire(`${process.env.NODE_FOLDER}/package.json`);
const sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");

const [namesFile, many] = process.argv.slice(2);
const names = JSON.parse(readFileSync(namesFile, "utf-8"));
const client = new sdk.S3Client({ forcePathStyle: true, maxAttempts: 1, endpoint: process.env.AWS_ENDPOINT_URL, region: process.env.AWS_REGION });
const Bucket = `sdk-js-${process.pid}`;
const send = (name, input) => client.send(new sdk[`${name}Command`]({ Bucket, ...input }));

await send("CreateBucket", {});
for (const [number, Key] of names.entries()) {
  const Body = `body of ${number}`;
  await send("PutObject", { Key, Body, Metadata: { number: String(number) } });
  const got = await send("GetObject", { Key, ChecksumMode: "ENABLED" });
  assert.equal(await got.Body.transformToString(), Body, Key);
  assert.equal(got.Metadata.number, String(number), Key);
}
const listed = [];
for await (const page of sdk.paginateListObjectsV2({ client, pageSize: 9 }, { Bucket, EncodingType: "url" })) {
  listed.push(...page.Contents.map((entry) => decodeURIComponent(entry.Key.replaceAll("+", " "))));
}
assert.deepEqual(new Set(listed), new Set(names));
for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
  const Body = Buffer.from(`checked with ${algorithm}`);
  const put = await send("PutObject", { Key: "checked", Body, ChecksumAlgorithm: algorithm });
  assert.ok(put[`Checksum${algorithm}`], algorithm);
  const head = await send("HeadObject", { Key: "checked", ChecksumMode: "ENABLED" });
  assert.equal(head[`Checksum${algorithm}`], put[`Checksum${algorithm}`]);
}
const large = Buffer.alloc(17 << 20, "0123456789abcdef-");
const upload = new Upload({ client, params: { Bucket, Key: "large", Body: Readable.from([large]) }, partSize: 6 << 20 });
await upload.done();
const back = Buffer.from(await (await send("GetObject", { Key: "large" })).Body.transformToByteArray());
assert.equal(createHash("sha256").update(back).digest("hex"), createHash("sha256").update(large).digest("hex"));
await assert.rejects(send("PutObject", { Key: "large", Body: "x", IfNoneMatch: "*" }), { name: "PreconditionFailed" });
for (const Key of [...names, "checked", "large"]) await send("DeleteObject", { Key });
await send("DeleteBucket", {});
let count = 0;
for await (const page of sdk.paginateListObjectsV2({ client }, { Bucket: many })) count += page.Contents.length;
assert.equal(count, 10000);
console.log(`@aws-sdk/client-s3: ${names.length} names, 17 MiB, 10,000 keys`);
