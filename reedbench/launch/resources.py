"""What a job asks for, exactly as the launch line of the workflow names it. The line's text is frozen."""

from reedbench.core.frozen import Frozen


class Request(Frozen):
    """One launched step: where, with what, and which outputs it must leave, in publishing order."""

    where: str
    key: str
    outputs: tuple[str, ...]
    gpus: int = 0
    nodes: int = 1
    tasks_per_node: int = 1
    cpus: int = 1
    mem_mb: int = 2000
    runtime: int = 60
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""
    extra: str = ""
