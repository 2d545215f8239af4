# Python's redis over tokend's socket: python3 python.py SOCKET NAME OTHER VALUE
import sys
import redis

_, path, name, other, value = sys.argv
r = redis.Redis(unix_socket_path=path, password="ignored", db=0, client_name="test", decode_responses=True)


def want(what, got, expected):
    if got != expected:
        sys.exit("%s: got %r, want %r" % (what, got, expected))


want("ping", r.ping(), True)
want("get", r.get(name), value)
want("get of a missing key", r.get("nothing"), None)
want("mget", r.mget([name, "nothing"]), [value, None])
want("ttl", r.ttl(name) > 60, True)
want("ttl of a missing key", r.ttl("nothing"), -2)
want("exists", r.exists(name, "nothing"), 1)
want("info", r.info()["redis_version"], "7.0.0")
want("setex", r.setex(name, 7000, "foreign"), True)
want("setnx", r.setnx(name, "foreign"), False)
want("set nx", r.set(name, "foreign", nx=True, ex=10), None)
try:
    r.get("open_platform/wxsandboxplatform/wxsandboxcustomer/refresh_token")
    sys.exit("get of a grant: no error")
except redis.ResponseError as e:
    want("the error", str(e), "DENIED - write-only")
want("del", r.delete(name), 1)
want("get again", r.get(name), value)
p = r.pipeline(transaction=False)
for _ in range(100):
    p.get(name)
want("a pipeline", p.execute(), [value] * 100)
r.get(other)
sub = r.pubsub()
sub.subscribe(other)
want("the confirmation", sub.get_message(timeout=10)["type"], "subscribe")
r.execute_command("REFRESH", other)
message = sub.get_message(timeout=10)
want("the message", (message["type"], message["channel"], message["data"][:6]), ("message", other, "fresh "))
print("ok")
