"""A client of Eureka by py-eureka-client; see README.md."""

import json
import sys

import py_eureka_client.eureka_client as eureka


def say(**answer):
    print(json.dumps(answer), flush=True)


def find(name):
    application = eureka.get_client().applications.get_application(name)
    return [
        {"host": one.ipAddr, "port": one.port.port, "metadata": dict(one.metadata)}
        for one in application.up_instances
    ]


def main():
    url, name, host, port = sys.argv[1:]
    eureka.init(
        eureka_server=url,
        app_name=name,
        instance_host=host,
        instance_ip=host,
        instance_port=int(port),
        renewal_interval_in_secs=1,
        duration_in_secs=6,
        metadata={"by": "python", "a_b": "1 < 2"},
    )
    say(ready=True)
    for line in sys.stdin:
        word, argument = line.split()
        if word == "find":
            say(found=find(argument))
        elif word == "status":
            change = eureka.get_client().status_update(argument)
            eureka.get_event_loop().run_until_complete(change)
            say(status=argument)
    eureka.stop()


main()
