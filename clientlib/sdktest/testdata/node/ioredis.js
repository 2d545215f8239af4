// ioredis over tokend's socket: node ioredis.js SOCKET NAME OTHER VALUE
const assert = require("assert");
const { Redis } = require("ioredis");

const [path, name, other, value] = process.argv.slice(2);

async function main() {
  const redis = new Redis({ path, password: "ignored", db: 0, connectionName: "test" });
  assert.equal(await redis.get(name), value);
  assert.equal(await redis.get("nothing"), null);
  assert.deepEqual(await redis.mget(name, "nothing"), [value, null]);
  assert.ok((await redis.ttl(name)) > 60);
  assert.equal(await redis.ttl("nothing"), -2);
  await assert.rejects(redis.get("open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token"), /DENIED - write-only/);
  assert.equal(await redis.setex(name, 7000, "foreign"), "OK");
  assert.equal(await redis.del(name), 1);
  const all = await Promise.all(Array.from({ length: 100 }, () => redis.get(name)));
  assert.ok(all.every((got) => got === value));
  await redis.get(other);
  const subscriber = redis.duplicate();
  const message = new Promise((resolve) => subscriber.on("message", (...args) => resolve(args)));
  await subscriber.subscribe(other);
  await redis.call("REFRESH", other);
  const [channel, text] = await message;
  assert.equal(channel, other);
  assert.match(text, /^fresh /);
  console.log("ok");
  process.exit(0);
}

main().catch((e) => {
  console.error(e);
  process.exit(1);
});
