"""Patterns of use for a store in which everything expires, on any redis-py client, blocking or asyncio.

One file per pattern; this one only names what they offer. Nothing here may import from the rest of respram.
"""

from respram.patterns.accumulate import Counter, GrowingList, Statistics, Summary
from respram.patterns.actor_state import ActorState
from respram.patterns.adaptive_priority import PrioritySender
from respram.patterns.advisory_lock import AdvisoryLock, HeldLock, Holding
from respram.patterns.affinity_pool import AffinityPool
from respram.patterns.anchoring import Anchors, Statement, new_signing_key, public_key, verified
from respram.patterns.append_log import AppendLog
from respram.patterns.batch import Batch, BatchProgress
from respram.patterns.bidirectional import Duplex
from respram.patterns.binary_storage import BinaryStorage
from respram.patterns.broadcast import Broadcast
from respram.patterns.caching import Cache, Cached
from respram.patterns.circuit_breaker import CircuitBreaker
from respram.patterns.content_distribution import ContentDistribution
from respram.patterns.content_store import ContentRef, ContentStore, reference
from respram.patterns.content_sync import ContentSync
from respram.patterns.coordination_token import Claim, CoordinationToken, Held
from respram.patterns.data_store import DataStore, Entry
from respram.patterns.dead_drop import DeadDrop
from respram.patterns.dedup import Dedup, Outcome
from respram.patterns.environment_config import EnvironmentConfig
from respram.patterns.errors import (
    BadName,
    BadTransition,
    BadTtl,
    ChunkExpired,
    CircuitOpen,
    ClaimLost,
    Contended,
    ContentCorrupt,
    ContentMissing,
    HomeAway,
    NodeRefused,
    NotJson,
    PatternError,
    RemoteError,
    ResourceLocked,
    SessionClosed,
    SessionEnded,
    SessionTimedOut,
    StoreAway,
    StoreRefused,
    StreamEnded,
    StreamRestarted,
    Tampered,
    TimedOut,
    TooMany,
    Unreadable,
    Unsettled,
    ValueTooLarge,
    WrongCredentials,
    WrongKey,
)
from respram.patterns.fanout import Endpoints
from respram.patterns.file_transfer import FileTransfer, bar
from respram.patterns.frames import FrameDispatcher, FrameSender
from respram.patterns.heartbeat import Change, Heartbeat, Presence
from respram.patterns.keep_alive import KeepAlive
from respram.patterns.keyword_index import Found, KeywordIndex
from respram.patterns.linked_list import LinkedList
from respram.patterns.live_stream import StreamDecoder, StreamEncoder
from respram.patterns.memo import Memo
from respram.patterns.multiplex import MultiplexReceiver, MultiplexSender
from respram.patterns.naming import Listing, derived, key, unique
from respram.patterns.overwrite_pubsub import OverwritePublisher, OverwriteSubscriber, Update
from respram.patterns.probabilistic_delivery import ChanceReader, ChanceSender, Frame
from respram.patterns.publish_subscribe import Message, PubSub
from respram.patterns.reference_message import ReferenceMessages, ReferenceReader
from respram.patterns.request_response import Requester, Responder
from respram.patterns.retry import Retry
from respram.patterns.scratchpad import Scratchpad
from respram.patterns.sealing import Sealer, new_secret
from respram.patterns.secure_relay import SecureRelay
from respram.patterns.session import Sessions
from respram.patterns.settle import Settle
from respram.patterns.snapshot import Snapshots
from respram.patterns.stash import Stash
from respram.patterns.state_machine import State, StateMachine
from respram.patterns.stt_session import STTNode, STTSession, STTStream
from respram.patterns.versions import Versions
from respram.patterns.workflow import Progress, Workflow

__all__ = [
    "ActorState",
    "AdvisoryLock",
    "AffinityPool",
    "Anchors",
    "AppendLog",
    "BadName",
    "BadTransition",
    "BadTtl",
    "Batch",
    "BatchProgress",
    "BinaryStorage",
    "Broadcast",
    "Cache",
    "Cached",
    "ChanceReader",
    "ChanceSender",
    "Change",
    "ChunkExpired",
    "CircuitBreaker",
    "CircuitOpen",
    "Claim",
    "ClaimLost",
    "Contended",
    "ContentCorrupt",
    "ContentDistribution",
    "ContentMissing",
    "ContentRef",
    "ContentStore",
    "ContentSync",
    "CoordinationToken",
    "Counter",
    "DataStore",
    "DeadDrop",
    "Dedup",
    "Duplex",
    "Endpoints",
    "Entry",
    "EnvironmentConfig",
    "FileTransfer",
    "Found",
    "Frame",
    "FrameDispatcher",
    "FrameSender",
    "GrowingList",
    "Heartbeat",
    "Held",
    "HeldLock",
    "Holding",
    "HomeAway",
    "KeepAlive",
    "KeywordIndex",
    "LinkedList",
    "Listing",
    "Memo",
    "Message",
    "MultiplexReceiver",
    "MultiplexSender",
    "NodeRefused",
    "NotJson",
    "Outcome",
    "OverwritePublisher",
    "OverwriteSubscriber",
    "PatternError",
    "Presence",
    "PrioritySender",
    "Progress",
    "PubSub",
    "ReferenceMessages",
    "ReferenceReader",
    "RemoteError",
    "Requester",
    "ResourceLocked",
    "Responder",
    "Retry",
    "STTNode",
    "STTSession",
    "STTStream",
    "Scratchpad",
    "Sealer",
    "SecureRelay",
    "SessionClosed",
    "SessionEnded",
    "SessionTimedOut",
    "Sessions",
    "Settle",
    "Snapshots",
    "Stash",
    "State",
    "StateMachine",
    "Statement",
    "Statistics",
    "StoreAway",
    "StoreRefused",
    "StreamDecoder",
    "StreamEncoder",
    "StreamEnded",
    "StreamRestarted",
    "Summary",
    "Tampered",
    "TimedOut",
    "TooMany",
    "Unreadable",
    "Unsettled",
    "Update",
    "ValueTooLarge",
    "Versions",
    "Workflow",
    "WrongCredentials",
    "WrongKey",
    "bar",
    "derived",
    "key",
    "new_secret",
    "new_signing_key",
    "public_key",
    "reference",
    "unique",
    "verified",
]
