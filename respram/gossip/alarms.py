"""Dispatches each timer that is due to its concern, as `inbox.py` does with messages."""

from dataclasses import dataclass
from typing import assert_never

from respram.gossip import timers
from respram.gossip.bootstrap import Bootstrap
from respram.gossip.delivery import Delivery
from respram.gossip.doubts import Doubts
from respram.gossip.effects import Host
from respram.gossip.forwarding import Forwarding
from respram.gossip.greeting import Greeting
from respram.gossip.homes import Homes
from respram.gossip.links import Link
from respram.gossip.majority import Majority
from respram.gossip.neighbours import Neighbours
from respram.gossip.partners import Partners
from respram.gossip.probes import Probes
from respram.gossip.pulls import Pulls
from respram.gossip.repair import Repair
from respram.gossip.rumors import Rumors
from respram.gossip.segment_keys import SegmentKeySharing
from respram.gossip.suffrage import Suffrage
from respram.gossip.takeover import Takeover
from respram.gossip.timers import Timer
from respram.gossip.tree import Tree
from respram.gossip.truths import Truths
from respram.gossip.witnesses import Witnesses


@dataclass(slots=True, eq=False)
class Alarms:
    host: Host
    neighbours: Neighbours
    greeting: Greeting
    delivery: Delivery
    probes: Probes
    witnesses: Witnesses
    partners: Partners
    tree: Tree
    segment_keys: SegmentKeySharing
    homes: Homes
    doubts: Doubts
    rumors: Rumors
    repair: Repair
    boot: Bootstrap
    truths: Truths
    pulls: Pulls
    forwarding: Forwarding
    takeover: Takeover
    majority: Majority
    suffrage: Suffrage

    def ring(self, timer: Timer) -> None:
        match timer:
            case timers.GreetingDue() | timers.AckDue() | timers.ResendDue():
                if (link := self.neighbours.links.get(timer.link)) is not None:
                    self._link_timer(link, timer)
            case timers.JobsDue():
                self.host.wake()
            case timers.RoundTurn():
                self.repair.paced()
            case timers.HurriedRoundDue(due_ms):
                self.repair.hurried(due_ms)
            case timers.ProbeTurn():
                self.probes.probe()
            case timers.PingUnanswered(nonce):
                self.probes.unanswered(nonce)
            case timers.QuestionDue(link_id, asked_ms, due_ms):
                self.probes.question_due(link_id, asked_ms, due_ms)
            case timers.Verdict(number, incarnation):
                self.probes.verdict(number, incarnation)
            case timers.EndedDial(number):
                self.probes.dial_ended(number)
            case timers.WindowTurn():
                self.probes.window()
            case timers.PartnersTurn():
                self.witnesses.tend()
                self.partners.tend()
            case timers.RotateTurn():
                self.partners.rotate()
                self.witnesses.remind()
            case timers.RootsTurn():
                self.partners.call_roots()
            case timers.JoinTurn():
                self.boot.tick()
            case timers.KeysExpire():
                self.segment_keys.expire()
            case timers.AnnounceDue():
                self.rumors.announce()
            case timers.WantDue():
                self.rumors.want()
            case timers.PullExpired(token):
                self.pulls.expired(token)
            case timers.TruthTurn(token):
                self.truths.turn(token)
            case timers.VouchDue():
                self.witnesses.due()
            case timers.SlotsSettle(version):
                self.homes.settle(version)
            case timers.TakeoverTurn(version):
                self.takeover.turn(version)
            case timers.DoubtDue(began_ms):
                self.doubts.due(began_ms)
            case timers.ForwardsTurn():
                self.forwarding.turn()
            case timers.BallotsTurn():
                self.majority.turn()
            case timers.SuffrageTurn():
                self.suffrage.turn()
            case timers.TreeTurn():
                self.tree.check()
            case timers.FindParent():
                self.tree.find_parent_again()
            case timers.RebalanceTurn():
                self.tree.turn()
            case _:
                assert_never(timer)

    def _link_timer(self, link: Link, timer: timers.GreetingDue | timers.AckDue | timers.ResendDue) -> None:
        match timer:
            case timers.GreetingDue():
                self.greeting.overdue(link)
            case timers.AckDue():
                self.delivery.ack_due(link)
            case timers.ResendDue():
                self.delivery.resend_due(link)
            case _:
                assert_never(timer)
