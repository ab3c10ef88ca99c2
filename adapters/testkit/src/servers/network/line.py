"""A bad line: carries frames between two network interfaces, late, or not all, or one way only.

The kernels of small machines come without netem, so the line is made of a process. Usage:
`line.py ONE OTHER SEED`, and on standard input, each time it is to change, a line of
`LOSS-THERE LOSS-BACK DELAY-THERE DELAY-BACK`: shares of 1, and seconds. The answer is `ok` and how
many frames were lost so far, also when it begins to carry. It ends with its standard input.
"""

import heapq
import itertools
import random
import select
import socket
import sys
import time

# From linux/if_packet.h and linux/if_ether.h.
SOL_PACKET = 263
PACKET_VNET_HDR = 15
ETH_P_ALL = 3


def end_at(interface):
    end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    # Each frame keeps the kernel's notes with it: checksums are not made before the last moment,
    # and what is longer than a frame is cut by then.
    end.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    end.bind((interface, ETH_P_ALL))
    end.setblocking(False)
    return end


def main():
    ends = [end_at(sys.argv[1]), end_at(sys.argv[2])]
    chance = random.Random(int(sys.argv[3]))
    loss, delay = [0.0, 0.0], [0.0, 0.0]
    under_way, order = [], itertools.count()
    lost = 0
    print("ok", lost, flush=True)
    while True:
        wait = max(0.0, under_way[0][0] - time.monotonic()) if under_way else None
        ready, _, _ = select.select([*ends, sys.stdin], [], [], wait)
        for way, end in enumerate(ends):
            if end not in ready:
                continue
            frame, (_, _, kind, *_) = end.recvfrom(1 << 17)
            if kind == socket.PACKET_OUTGOING:
                continue
            if chance.random() < loss[way]:
                lost += 1
                continue
            due = time.monotonic() + delay[way]
            heapq.heappush(under_way, (due, next(order), 1 - way, frame))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, to, frame = heapq.heappop(under_way)
            try:
                ends[to].send(frame)
            except OSError:
                pass  # Lost, as on a line that is full.
        if sys.stdin in ready:
            words = sys.stdin.readline().split()
            if not words:
                return
            there, back, slow_there, slow_back = map(float, words)
            loss, delay = [there, back], [slow_there, slow_back]
            print("ok", lost, flush=True)


main()
