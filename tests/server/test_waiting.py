"""Who is woken by what another node says, and that nothing is kept of a client that has gone."""

from dataclasses import dataclass, field

from respram.server.waiting import Waiting


@dataclass(eq=False)
class Client:
    woken: list[None] = field(default_factory=list)

    def wake(self) -> None:
        self.woken.append(None)


def nothing_is_kept(waiting: Waiting) -> bool:
    kept = (waiting.acks, waiting.pulling, waiting.pulls_of, waiting.asking, waiting.asked_by, waiting.learnt_by)
    return not any(kept)


def test_enough_acknowledgements_wake_and_fewer_do_not() -> None:
    waiting, patient, greedy = Waiting(), Client(), Client()
    waiting.notice(patient, 7, 2)
    waiting.notice(greedy, 7, 3)
    waiting.acknowledged(lambda number: 2 if number == 7 else 9)
    assert patient.woken and not greedy.woken and list(waiting.acks) == [greedy]
    waiting.acknowledged(lambda _: 3)
    assert len(patient.woken) == len(greedy.woken) == 1 and nothing_is_kept(waiting)


def test_the_last_record_wakes_all_who_wait_for_nothing_else() -> None:
    waiting, one, two = Waiting(), Client(), Client()
    waiting.pull(one, (0, b"a"))
    waiting.pull(one, (0, b"b"))
    waiting.pull(two, (0, b"a"))
    waiting.answered((1, b"a"))
    assert not two.woken, "of another database"
    waiting.answered((0, b"a"))
    assert two.woken and not one.woken
    waiting.answered((0, b"a"))
    waiting.answered((0, b"b"))
    assert len(one.woken) == len(two.woken) == 1 and nothing_is_kept(waiting)


def test_all_truths_are_known_or_one_was_not() -> None:
    for second_is_known in (True, False):
        waiting, client = Waiting(), Client()
        waiting.ask(client, 1)
        waiting.ask(client, 2)
        waiting.told(1, True)
        assert not client.woken and not waiting.learnt(client)
        waiting.told(2, second_is_known)
        waiting.told(2, True)  # nobody asked for it any more
        assert len(client.woken) == 1
        assert waiting.learnt(client) is second_is_known
        assert not waiting.learnt(client), "it is said once"
        assert nothing_is_kept(waiting)


def test_nothing_is_kept_of_a_client_that_has_gone() -> None:
    waiting, gone, there = Waiting(), Client(), Client()
    for client in (gone, there):
        waiting.notice(client, 1, 1)
        waiting.pull(client, (0, b"a"))
    waiting.ask(gone, 5)
    waiting.ask(gone, 6)
    waiting.told(5, True)
    waiting.forget(gone)
    waiting.told(6, True)
    waiting.acknowledged(lambda _: 1)
    waiting.answered((0, b"a"))
    assert not gone.woken and len(there.woken) == 2
    assert nothing_is_kept(waiting)
