"""Every time and bound of the gossip core, with its unit and its reason. Nothing else may live here."""

from dataclasses import dataclass

KIB, MIB = 1 << 10, 1 << 20


@dataclass(frozen=True, slots=True)
class Terms:
    """Settings that must be equal in an enclave (agreement.py). 0: nothing is said."""

    max_ttl_ms: int = 0
    value_bytes_max: int = 0  # of a key, of a member's name, and of a value
    seals: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """What a node says of its settings. `current` holds for its clients now; its operator has given it `own`; `near` is
    the smallest that the operators of it and of its linked peers have given.
    """

    current: Terms
    own: Terms
    near: Terms
    enclave_size: int = 0  # number of voting members, if a majority decides; 0: homes decide
    alone: bool = False  # it decides about all keys for its own clients (`--decide local`)


@dataclass(frozen=True, slots=True)
class Policy:
    """Defaults for real networks. The simulator runs with the same."""

    network: bytes = b"respram"
    terms: Terms = Terms()
    ttl_ms_max: int = 31_536_000_000  # longest TTL of keys of segments, where the terms do not say one
    ids_mark: int = 0  # of the key of this node's record ids (engine/ids.py): ids are comparable only under equal keys
    clock_offset_ms_max: int = 2_000  # a peer with a larger clock offset is refused at HELLO

    # -- links --
    greeting_ms_max: int = 5_000  # from connecting to HELLO
    flush_ms: int = 2  # a write waits this long for others to share its frame
    batch_bytes: int = 64 * KIB  # or until this much is queued
    ack_delay_ms: int = 20  # an ACK waits this long for data that carries it
    ack_bytes: int = 64 * KIB  # or until this much has arrived
    in_flight_bytes_max: int = 4 * MIB  # sent and not acknowledged, on one link
    sync_in_flight_bytes_max: int = 2 * MIB  # likewise of filters and records: the rest is left for pushes
    dump_in_flight_bytes_max: int = 1 * MIB  # likewise of dump frames
    queue_bytes_max: int = 16 * MIB  # writes that wait for the window; when it is full, writes are dropped: LAGGING
    compact_bytes: int = 1 * MIB  # a longer queue is searched for overwritten versions
    resend_ms: int = 1_000  # a frame without an ACK is sent again after this; doubles with each attempt
    resends_max: int = 6  # attempts without progress; then the link closes and the peer lags
    resend_bytes: int = 64 * KIB  # sent again per attempt, so that a stalled peer is not flooded
    resend_frames: int = 16
    out_of_order_frames_max: int = 4_096  # frames received after a gap that are remembered
    redial_ms: int = 200  # after a link was lost; doubles
    redial_ms_max: int = 5_000
    links_max: int = 128  # greeted links of one node; another one is refused

    # -- spreading --
    direct_peers_max: int = 10  # up to this many peers, every write goes to all of them
    passed_on_to: int = 2  # peers to which a receiver passes the payload on
    announce_ms: int = 10  # announcements to one peer wait this long for others
    want_ms: int = 60  # an announced batch is requested if it does not arrive within this
    wants_max: int = 3  # announcers that are asked for one batch
    batch_cache_bytes_max: int = 4 * MIB  # batches stored for requests
    batch_cache_ms: int = 10_000
    batch_gaps_max: int = 1_024  # numbers remembered above an origin's watermark
    origins_max: int = 20_000
    numbers_remembered_max: int = 4_096  # own batches whose targets WAIT may ask for

    # -- comparison --
    round_ms_least: int = 250
    round_ms: int = 1_000
    round_ms_max: int = 8_000
    reunion_ms: int = 8_000  # after a member returned, the pace of comparison stays high for this long
    fruitless_ms: int = 8_000  # pause of filters with a peer after two that found nothing to send
    round_patience_ms: int = 5_000  # a round ends after this long without a message
    buckets_max: int = 512  # bucket digests in one message
    filter_records_max: int = 256 * 1024  # of one round, unless a single bucket has more
    filter_part_bytes: int = 64 * KIB
    filter_parts_max: int = 100
    filter_error_rate: float = 0.01
    # a filter of so few may say more: 17 KiB instead of 10, and hardly ever a second round
    small_filter_records: int = 8_192
    small_filter_error_rate: float = 0.0005
    records_bytes_max: int = 4 * MIB  # of one round, in each direction
    records_part_bytes: int = 64 * KIB
    sync_queue_bytes_max: int = 1 * MIB  # built ahead of the window
    job_wait_ms: int = 20  # interval at which a job that waits for acknowledgements checks its link
    vouch_ms: int = 250  # a member that was proven waits this long for others before peers are told
    members_ms: int = 2_000  # between two exchanges of address books with one peer

    # -- bootstrap --
    join_ms: int = 250  # interval at which a joiner looks for a source
    # without any peer by then a node is alone; with peers of whom none is ready, they become level among themselves
    alone_ms: int = 3_000
    join_wait_ms: int = 30_000  # time after the start until a node may serve alone
    # who was refused by its enclave within this time has met somebody, and does not serve alone
    objected_ms: int = 60_000
    serve_alone: bool = True  # False: a node that was told to join never serves alone
    dump_bytes: int = 8 * KIB  # made and sent in a tenth of a millisecond, during which clients of the source wait
    dumps_max: int = 2  # joiners served at a time
    dump_patience_ms: int = 10_000  # a source without a chunk for this long is given up
    level_ms_max: int = 60_000  # after the dump; then the node is ready even if digests differ
    root_ms: int = 10_000  # interval at which roots are dialled by nodes without a link to any

    restore_ms_max: int = 60_000  # a joiner waits this long for its own snapshot before it asks for a dump
    restored_share_percent: int = 50  # of a peer's records: with fewer from a snapshot, a dump is cheaper than filters
    keys_ms: int = 1_000  # interval of the checks for segments whose bucket has ended, whose keys are then destroyed

    # -- truth, while joining --
    # a process that did not run for so long may be suspected: whose link is lost, `indirect_patience_ms` later
    stopped_ms: int = 1_000
    doubt_ms: int = 1_500  # how long it waits for the others to say that they did not suspect it; then it joins again
    doubted_ms_max: int = 60_000  # after a longer stop it does not ask, since the others may have forgotten it
    # a decision waits for it so long (many clients give up after 2 s); then the client is told to come again
    truth_ms: int = 1_500
    truth_again_ms: int = 50  # other peers are asked after this long without an answer; doubles
    truth_peers_max: int = 3  # peers asked at a time

    # -- homes --
    settle_ms: int = 250  # a home waits this long before it asks about slots that have just moved to it (takeover.py)
    takeover_turn_ms: int = 25  # interval of the checks which members can be asked
    takeover_ms_max: int = 1_000  # then it decides without those that have not answered
    takeover_votes_ms_max: int = 10_000  # the same where a majority decides, and too few have answered for one

    # -- forwards --
    forward_ms: int = 1_500  # a client waits this long for its key's home (many clients give up after 2 s)
    forward_turn_ms: int = 25  # interval of the checks for unanswered forwards
    forward_resend_ms: int = 300  # an unanswered forward is sent again after this; the home runs it once
    forwards_max: int = 4_096  # unanswered forwards of this node's clients; another one gets an error
    forward_bytes_max: int = 4 * MIB  # sent to one home and not answered; further ones wait
    forward_stray_ms: int = 2_000  # for this long a key that another home decided about is sent along
    forward_strays_max: int = 4_096
    forward_moves_max: int = 3  # homes to which others have sent one forward on, between two of those checks
    # of records that a forward brings along, because its home may not have them yet
    forward_records_bytes_max: int = 1 << 20
    # while the home has so much to push, it pushes first, and an answer leaves out the records that were in it
    answer_pushed_bytes_min: int = 16 * KIB
    answer_part_bytes: int = 1 * MIB  # of replies and records in one ANSWER; longer answers are sent in parts
    # answers to one forward that may come before what they say goes before them; an honest home gives one, and one more
    # on a new link
    answers_ahead_max: int = 3
    answers_begun_bytes_max: int = 1 << 30  # replies of all answers whose last part has not come
    answer_cache_ms: int = 60_000  # for forwards that are sent again
    answer_cache_max: int = 8_192  # of one node
    answer_cache_bytes_max: int = 1 * MIB  # of one node

    # -- decisions of a majority --
    enclave_size: int = 0  # number of voting members, present or not; 0: homes decide by themselves
    reign_ms: int = 1_000  # stamps are promised this far ahead: the next reign has to wait that long
    reign_spare_ms: int = 100  # a promise is renewed when less than this is left
    ballot_ms: int = 600  # members are asked for promises for this long; after it, nothing has run
    ballot_resend_ms: int = 200  # an unanswered ballot is sent again after this
    suffrage_ms: int = 200  # interval at which a restarted member checks whether it may vote
    suffrage_patience_ms: int = 10_000  # a comparison that takes longer starts again
    suffrage_rest_ms: int = 4_000  # a record that ends within this is not compared: it ends before the member votes

    # -- pulls --
    pull_ms: int = 25
    pull_ms_max: int = 50
    pull_peers_max: int = 2
    pulls_per_s_max: int = 1_000
    pulls_max: int = 10_000  # waiting at a time
    absent_ms: int = 250  # a key that no peer had is requested again only after this
    absent_keys_max: int = 10_000

    # -- members --
    probe_ms: int = 1_000
    probe_patience_ms: int = 500  # then other members are asked to probe
    indirect_patience_ms: int = 1_000  # then the member is suspected
    indirect_peers: int = 3
    suspicion_ms: int = 4_000  # time to deny it; then the member counts as dead
    doubt_max: int = 8  # patience is multiplied by up to 1 + this while this node itself is slow
    late_ms: int = 300  # a timer that is this late shows that this node was slow
    news_per_message: int = 16
    dead_remembered_ms: int = 3_600_000  # dead members are remembered, and dialled now and then
    members_max: int = 20_000
    partner_ms: int = 1_000  # interval of the checks which links are needed
    rotate_ms: int = 10_000  # interval at which a random link is replaced
    window_ms: int = 10_000  # after three such windows with answers of under half of the members, the node is isolated
    windows: int = 3

    # -- tree --
    check_ms: int = 30_000
    attach_patience_ms: int = 5_000
    trunks_max: int = 32  # of a root
    branches_max: int = 15  # of a trunk
    leaves_max: int = 25  # of a branch
    rebalance_ms: int = 900_000
    better_ms: int = 300_000  # time for which another parent must have been better
    better_percent: int = 20
    better_least_ms: int = 2
    rest_ms: int = 600_000  # pause after a move
    outside_percent: int = 30  # of the partners that are outside the own branch
