"""libvirt's wire protocol, as far as its calls about interfaces need it: bytes to calls, and answers to bytes.

Pure, as policy is: `cli/libvirtserver.py` has the sockets. Written from the published protocol (libvirt's
src/rpc/virnetprotocol.x and src/remote/remote_protocol.x), whose numbers never change once they are released. libvirt's
own library has the client's side only, and a server of these calls is smaller than what would load it.
"""
