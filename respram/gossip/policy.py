"""Every time and bound of the gossip core, with its unit and its reason. Nothing else may live here."""

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings that must be equal in an enclave (agreement.py). 0: nothing is said."""

    max_ttl_ms: int = 0
    value_bytes_max: int = 0  # of a key and its value together
    seals: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a node says of its settings. `current` holds for its clients now; its operator has given it `own`; `near` is
    the smallest that the operators of it and of its linked peers have given.
    """

    current: Terms
    own: Terms
    near: Terms
    enclave_size: int = 0  # where a majority decides; 0: none does


@dataclass(frozen=True, slots=True)
class Policy:
    """Defaults for real networks. The simulator runs with the same."""

    network: bytes = b"respram"
    terms: Terms = Terms()
    ttl_ms_max: int = 31_536_000_000  # where the terms say nothing: of keys of segments
    ids_mark: int = 0  # of the key of this node's record ids (engine/ids.py): only equal keys give comparable ids
    clock_offset_ms_max: int = 2_000  # a peer whose clock is further off is refused at HELLO

    # -- links --
    greeting_ms_max: int = 5_000  # from connection to HELLO
    flush_ms: int = 2  # a write waits so long for others to share its frame
    batch_bytes: int = 64 * KIB  # or until so much is there
    ack_delay_ms: int = 20  # an ACK waits so long for data that carries it along
    ack_bytes: int = 64 * KIB  # or until so much has arrived
    in_flight_bytes_max: int = 4 * MIB  # sent and not acknowledged, per link
    sync_in_flight_bytes_max: int = 2 * MIB  # filters and records stop here, so that pushes pass them
    dump_in_flight_bytes_max: int = 1 * MIB  # a joiner's credit; only dump frames count
    queue_bytes_max: int = 16 * MIB  # writes that wait for the window; when it is full, they are dropped: LAGGING
    compact_bytes: int = 1 * MIB  # a queue of this size is searched for overwritten versions
    resend_ms: int = 1_000  # a frame not acknowledged by then is sent again; doubles with each attempt
    resends_max: int = 6  # attempts without any progress; then the link is closed and the peer lags
    resend_bytes: int = 64 * KIB  # sent again per attempt: a stalled peer is not buried
    resend_frames: int = 16
    ahead_frames_max: int = 4_096  # received beyond a gap and remembered
    redial_ms: int = 200  # after a link was lost; doubles
    redial_ms_max: int = 5_000
    links_max: int = 128  # greeted links of one node; one more is refused

    # -- spreading --
    direct_peers_max: int = 10  # up to so many peers, every write goes to all of them
    passed_on_to: int = 2  # peers to whom a receiver passes the payload on
    announce_ms: int = 10  # announcements to one peer wait so long for others
    want_ms: int = 60  # an announced batch is waited for so long, then asked for
    wants_max: int = 3  # announcers asked for one batch
    batches_kept_bytes_max: int = 4 * MIB  # for those who ask
    batches_kept_ms: int = 10_000
    batch_gaps_max: int = 1_024  # numbers remembered above an origin's watermark
    origins_max: int = 20_000
    numbers_remembered_max: int = 4_096  # own batches whose targets WAIT may ask for

    # -- comparison --
    round_ms_least: int = 250
    round_ms: int = 1_000
    round_ms_max: int = 8_000
    reunion_ms: int = 8_000  # after a member came back, in which the pace is not slowed
    fruitless_ms: int = 8_000  # before the next filters with a peer, when two in a row found nothing to send
    round_patience_ms: int = 5_000  # without a message a round is given up
    buckets_max: int = 512  # bucket digests of one message
    filter_records_max: int = 256 * 1024  # of one round, unless one bucket has more
    filter_part_bytes: int = 64 * KIB
    filter_parts_max: int = 100
    filter_error_rate: float = 0.01
    # a filter of so few may say more: 17 KiB instead of 10, and hardly ever a second round
    small_filter_records: int = 8_192
    small_filter_error_rate: float = 0.0005
    records_bytes_max: int = 4 * MIB  # of one round, each way
    records_part_bytes: int = 64 * KIB
    sync_queue_bytes_max: int = 1 * MIB  # built ahead of the window
    job_wait_ms: int = 20  # without acknowledgements, until a job that waits for them looks whether its link is gone
    vouch_ms: int = 250  # who is proven waits so long for others before peers are told
    members_ms: int = 2_000  # between two exchanges of address books with one peer

    # -- bootstrap --
    join_ms: int = 250  # how often a joiner looks for a source
    # without any peer by then a node is alone; with peers of whom none is ready, they become level among themselves
    alone_ms: int = 3_000
    join_wait_ms: int = 30_000  # and so long after its start it may serve alone
    serve_alone: bool = True  # False: never, while it was told to join
    dump_bytes: int = 8 * KIB  # made and sent in a tenth of a millisecond: so long clients of the source wait
    dumps_max: int = 2  # joiners served at a time
    dump_patience_ms: int = 10_000  # without a chunk the source is given up
    level_ms_max: int = 60_000  # after the dump; then the node is ready even if the digests still differ
    root_ms: int = 10_000  # how often roots are dialled again by who has no link to any

    restore_ms_max: int = 60_000  # a joiner's own snapshot is waited for so long before it asks for a dump
    restored_share_percent: int = 50  # of a peer's records: with fewer from a snapshot a dump is cheaper than filters
    keys_ms: int = 1_000  # how often keys of segments are looked at: they are destroyed so long after their bucket

    # -- truth, while joining --
    # a process that did not run for so long may be suspected: whose link is lost, `indirect_patience_ms` later
    stopped_ms: int = 1_000
    doubt_ms: int = 1_500  # so long it waits for the others to say that they did not; then it joins again
    doubted_ms_max: int = 60_000  # after a longer stop it does not ask: the others may have forgotten it
    # a decision waits for it so long (many clients give up after 2 s); then the client is told to come again
    truth_ms: int = 1_500
    truth_again_ms: int = 50  # without an answer others are asked after so long; doubles
    truth_peers_max: int = 3  # asked at a time

    # -- homes --
    settle_ms: int = 250  # a home waits so long before it asks about slots that it has just got (takeover.py)
    takeover_turn_ms: int = 25  # how often it looks who can be asked by now
    takeover_ms_max: int = 1_000  # then it decides without those who have not answered

    # -- forwards --
    forward_ms: int = 1_500  # a client waits for its key's home so long (many clients give up after 2 s)
    forward_turn_ms: int = 25  # how often those that are not answered are looked at
    forward_resend_ms: int = 300  # without an answer a forward is sent again after so long; the home runs it once
    forwards_max: int = 4_096  # of this node's clients, not answered yet; one more is told to come again
    forward_bytes_max: int = 4 * MIB  # of them under way to one home; the others wait for their turn
    forward_stray_ms: int = 2_000  # so long a key that another home decided about is brought along
    forward_strays_max: int = 4_096
    # of records that a forward brings along, because its home may not have them yet
    forward_ahead_bytes_max: int = 1 << 20
    answer_part_bytes: int = 1 * MIB  # replies and records of one ANSWER; longer ones are sent in parts
    answers_kept_ms: int = 60_000  # for a forward that is sent again
    answers_kept_max: int = 8_192  # of one node
    answers_kept_bytes_max: int = 1 * MIB  # of one node

    # -- decisions of a majority --
    enclave_size: int = 0  # how many members vote, whoever is there; 0: homes decide by themselves
    reign_ms: int = 1_000  # so far ahead stamps are promised: whoever comes next waits so long
    reign_spare_ms: int = 100  # with less left of a promise another exchange comes first
    ballot_ms: int = 600  # members are asked for promises so long; nothing was run then
    ballot_resend_ms: int = 200  # without an answer a ballot is sent again
    suffrage_ms: int = 200  # how often a member that was started looks whether it may vote
    suffrage_patience_ms: int = 10_000  # what was barred so long ago cannot be compared any more: it begins again
    suffrage_rest_ms: int = 4_000  # what ends so soon is not compared: it has ended before the member votes

    # -- pulls --
    pull_ms: int = 25
    pull_ms_max: int = 50
    pull_peers_max: int = 2
    pulls_per_s_max: int = 1_000
    pulls_max: int = 10_000  # waiting at a time
    absent_ms: int = 250  # a key that nobody had is not asked for again before
    absent_keys_max: int = 10_000

    # -- members --
    probe_ms: int = 1_000
    probe_patience_ms: int = 500  # then others are asked to probe
    indirect_patience_ms: int = 1_000  # then the member is suspected
    indirect_peers: int = 3
    suspicion_ms: int = 4_000  # to deny it; then the member counts as dead
    doubt_max: int = 8  # patience is multiplied by up to 1 + this while this node itself is slow
    late_ms: int = 300  # a timer so late means that this node was slow
    news_per_message: int = 16
    dead_kept_ms: int = 3_600_000  # and dialled now and then
    members_max: int = 20_000
    partner_ms: int = 1_000  # how often links are compared with those wanted
    rotate_ms: int = 10_000  # a random link is replaced by another so often
    window_ms: int = 10_000  # three such windows with under half of the members answering: isolated
    windows: int = 3

    # -- tree --
    check_ms: int = 30_000
    attach_patience_ms: int = 5_000
    trunks_max: int = 32  # of a root
    branches_max: int = 15  # of a trunk
    leaves_max: int = 25  # of a branch
    rebalance_ms: int = 900_000
    better_ms: int = 300_000  # a better parent must have been better for so long
    better_percent: int = 20
    better_least_ms: int = 2
    rest_ms: int = 600_000  # after a move
    outside_percent: int = 30  # of the partners, from outside the own branch
