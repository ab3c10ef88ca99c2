"""A client of Consul by py-consul; see README.md."""

import json
import sys
import threading

import consul


def say(**answer):
    print(json.dumps(answer), flush=True)


def main():
    server, name, host, port = sys.argv[1:]
    at, number = server.rsplit(":", 1)
    client = consul.Consul(host=at, port=int(number))
    service = f"{name}-{port}"
    meta = {"by": "python", "a_b": "1 < 2"}

    def register():
        client.agent.service.register(
            name,
            service_id=service,
            address=host,
            port=int(port),
            tags=["python"],
            meta=meta,
            check=consul.Check.ttl("3s"),
        )

    register()
    further = f"further-{service}"
    client.agent.check.register("further", check=consul.Check.ttl("3s"), check_id=further, service_id=service)
    status, ended = {"word": "passing"}, threading.Event()

    def renew():
        while True:
            tell = client.agent.check.ttl_pass if status["word"] == "passing" else client.agent.check.ttl_fail
            tell(f"service:{service}")
            client.agent.check.ttl_pass(further)
            if ended.wait(1):
                return

    def find(wanted, index=None):
        # A client of its own: this one may wait.
        asker = consul.Consul(host=at, port=int(number))
        index, entries = asker.health.service(wanted, passing=True, index=index, wait="30s")
        found = [
            {"host": one["Service"]["Address"], "port": one["Service"]["Port"], "metadata": one["Service"]["Meta"]}
            for one in entries
        ]
        say(found=found)
        return index

    renewing = threading.Thread(target=renew)
    renewing.start()
    say(ready=True)
    for line in sys.stdin:
        word, argument = line.split()
        if word == "find":
            find(argument)
        elif word == "watch":
            find(argument, find(argument))
        elif word == "change":
            meta["said"] = argument
            register()
            say(changed=True)
        elif word == "status":
            status["word"] = argument
            tell = client.agent.check.ttl_pass if argument == "passing" else client.agent.check.ttl_fail
            tell(f"service:{service}")
            say(status=argument)
    ended.set()
    renewing.join()
    client.agent.check.deregister(further)
    client.agent.service.deregister(service)


main()
