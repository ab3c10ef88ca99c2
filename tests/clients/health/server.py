"""A server of grpc.health.v1 by grpcio: `server.py PORT` serves as a whole and as `well`, does not
as `sick`, and knows no other service. It prints `{"ready":true}`, and ends with its input.
"""

import sys
from concurrent import futures

import grpc

SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
ANSWERS = {b"": SERVING, b"\x0a\x04well": SERVING, b"\x0a\x04sick": NOT_SERVING}


def check(request, context):
    if request not in ANSWERS:
        context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
    return ANSWERS[request]


server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
handler = grpc.unary_unary_rpc_method_handler(check)
server.add_generic_rpc_handlers(
    [grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})]
)
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
print('{"ready":true}', flush=True)
sys.stdin.read()
server.stop(None)
