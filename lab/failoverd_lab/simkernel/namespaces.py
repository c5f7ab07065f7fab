"""The network namespaces of one simulated kernel, by name, by descriptor and by process."""

from __future__ import annotations

from failoverd_lab.simkernel.kernel import SimKernel
from failoverd_lab.simkernel.moves import let_go


class Namespaces:
    """A world of namespaces. `own` is the first one, which never ends; "" stands for its name.

    A namespace lives as long as anything holds it: a name, a process, a descriptor, a socket in it.
    """

    def __init__(self, own: SimKernel) -> None:
        self.own = own
        self._system = own.net.system
        self._kernels: dict[str, SimKernel] = {"": own}

    def __getitem__(self, name: str) -> SimKernel:
        """Return a namespace. Raises KeyError."""
        return self._kernels[name]

    @property
    def names(self) -> frozenset[str]:
        """The names that are there."""
        return frozenset(self._kernels) - {""}

    def create(self, name: str) -> SimKernel:
        """Create a namespace with a name, as `ip netns add` does. Raises FileExistsError."""
        if name in self._kernels:
            raise FileExistsError(name)
        self._kernels[name] = kernel = SimKernel.beside(self.own)
        self._system.names[name] = kernel.net
        kernel.settle()
        return kernel

    def delete(self, name: str) -> None:
        """Take the name away. The namespace ends, unless something else holds it. Raises KeyError."""
        kernel = self._kernels.pop(name)
        let_go(self._system.names.pop(name))
        kernel.settle()

    def start(self, pid: int, name: str) -> None:
        """Let a process run in a namespace. Raises KeyError."""
        self._system.processes[pid] = self._kernels[name].net

    def end(self, pid: int) -> None:
        """Let a process end. Raises KeyError."""
        let_go(self._system.processes.pop(pid))
        self.own.settle()

    def descriptor(self, name: str = "") -> int:
        """Open a descriptor, for IFLA_NET_NS_FD and NETNSA_FD; returns its number. Raises KeyError."""
        return self._system.describe(self._kernels[name].net)

    def close(self, descriptor: int) -> None:
        """Close a descriptor. Raises KeyError."""
        let_go(self._system.descriptors.pop(descriptor))
        self.own.settle()
