"""A client of Nacos 1.x by nacos-sdk-python; see README.md."""

import json
import sys

import nacos


def say(**answer):
    print(json.dumps(answer), flush=True)


def main():
    server, name, host, port = sys.argv[1:]
    client = nacos.NacosClient(server, namespace="")
    client.add_naming_instance(
        name,
        host,
        int(port),
        metadata={"by": "python", "preserved.heart.beat.timeout": "3000"},
        heartbeat_interval=1,
    )
    say(ready=True)
    for line in sys.stdin:
        _, wanted = line.split()
        answer = client.list_naming_instance(wanted, healthy_only=True)
        say(
            found=[
                {"host": one["ip"], "port": one["port"], "metadata": one["metadata"]}
                for one in answer["hosts"]
            ]
        )
    client.remove_naming_instance(name, host, int(port))


main()
