// node-redis over tokend's socket, in both versions of RESP: node noderedis.js SOCKET NAME OTHER VALUE
const assert = require("assert");
const { createClient } = require("redis");

const [path, name, other, value] = process.argv.slice(2);

async function use(RESP) {
  const redis = createClient({ socket: { path }, RESP, password: "ignored", database: 0, name: "test" });
  redis.on("error", (e) => assert.fail(e));
  await redis.connect();
  assert.equal(await redis.get(name), value);
  assert.equal(await redis.get("nothing"), null);
  assert.deepEqual(await redis.mGet([name, "nothing"]), [value, null]);
  assert.ok((await redis.ttl(name)) > 60);
  assert.equal(await redis.ttl("nothing"), -2);
  await assert.rejects(redis.get("open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token"), /DENIED - write-only/);
  assert.equal(await redis.setEx(name, 7000, "foreign"), "OK");
  assert.equal(await redis.del(name), 1);
  const all = await Promise.all(Array.from({ length: 100 }, () => redis.get(name)));
  assert.ok(all.every((got) => got === value));
  await redis.get(other);
  const subscriber = redis.duplicate();
  subscriber.on("error", (e) => assert.fail(e));
  await subscriber.connect();
  let tell;
  const message = new Promise((resolve) => (tell = resolve));
  await subscriber.subscribe(other, (...args) => tell(args));
  await redis.sendCommand(["REFRESH", other]);
  const [text, channel] = await message;
  assert.equal(channel, other);
  assert.match(text, /^fresh /);
  subscriber.destroy();
  redis.destroy();
}

use(2)
  .then(() => use(3))
  .then(() => console.log("ok"))
  .catch((e) => {
    console.error(e);
    process.exit(1);
  });
