from respram.embedded import AsyncServer as AsyncServer
from respram.embedded import Enclave as Enclave
from respram.embedded import Server as Server

__version__: str
