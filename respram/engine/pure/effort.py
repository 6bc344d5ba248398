"""What members of collections cost this engine, beside the bytes of their values: counted, and not timed.

`moved` counts a member by the bytes for which the native engine has it. Here it takes ten to twenty times as long, and
a transaction of a share of them held everybody up for 0.2 to 0.9 s. So they count a second time, in microseconds that
were measured once. The prices of this engine are the only thing in it that has no twin.
"""

# Measured for 1,000 members with short names: those that a reply tells (ZRANGE 0.4 us, HGETALL and ZRANGEBYLEX 1.5),
# those that are looked up (SINTER 1), walked by (HSCAN 2.9), and stored (ZUNIONSTORE, COPY 7 to 11).
TOLD_US, LOOKED_US, WALKED_US, STORED_US = 1, 1, 3, 8
TRANSACTION_US_MAX = 36_000  # as long as the commands without a fast path may take: commands/transactions.py
FEW_COMMANDS = 4  # of one transaction are not refused for it: as there
TURN_US_MAX = 10_000  # then other clients are served, unless a transaction runs


class Effort:
    __slots__ = ("us", "us_max")

    def __init__(self) -> None:
        self.us = 0  # for members, since the start
        self.us_max: int | None = None  # then the running transaction has used its share

    def begin(self) -> None:
        self.us_max = self.us + TRANSACTION_US_MAX

    @property
    def is_spent(self) -> bool:
        return self.us_max is not None and self.us >= self.us_max
