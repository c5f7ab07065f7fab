"""etcd's messages, as far as failoverd needs them: rows of api/etcdserverpb/rpc.proto and api/mvccpb/kv.proto.

The classes are made when this module is loaded, from descriptors. Rejected: code that protoc generates, as each of its
releases is for some releases of the library only, and Debian 12's, 13's and PyPI's are far apart.
Enumerations are numbers here, and members of a `oneof` plain fields: on the wire they are the same.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PUT = 0
"""Event.type"""
GREATER = 1
"""Compare.result"""
BY_CREATE_REVISION = 1
"""Compare.target"""

_ROWS = {
    "ResponseHeader": "uint64 cluster_id 1, uint64 member_id 2, int64 revision 3, uint64 raft_term 4",
    "KeyValue": "bytes key 1, int64 create_revision 2, int64 mod_revision 3, bytes value 5, int64 lease 6",
    "Event": "int32 type 1, KeyValue kv 2, KeyValue prev_kv 3",
    "RangeRequest": "bytes key 1, bytes range_end 2, int64 limit 3, int64 revision 4, bool keys_only 8",
    "RangeResponse": "ResponseHeader header 1, KeyValue* kvs 2, bool more 3, int64 count 4",
    "PutRequest": "bytes key 1, bytes value 2, int64 lease 3",
    "PutResponse": "ResponseHeader header 1",
    "DeleteRangeRequest": "bytes key 1, bytes range_end 2, bool prev_kv 3",
    "DeleteRangeResponse": "ResponseHeader header 1, int64 deleted 2, KeyValue* prev_kvs 3",
    "RequestOp": "PutRequest request_put 2, DeleteRangeRequest request_delete_range 3",
    "ResponseOp": "DeleteRangeResponse response_delete_range 3",
    "Compare": "int32 result 1, int32 target 2, bytes key 3, int64 create_revision 5, int64 mod_revision 6",
    "TxnRequest": "Compare* compare 1, RequestOp* success 2, RequestOp* failure 3",
    "TxnResponse": "ResponseHeader header 1, bool succeeded 2, ResponseOp* responses 3",
    "WatchCreateRequest": "bytes key 1, bytes range_end 2, int64 start_revision 3, bool prev_kv 6, bool fragment 8",
    "WatchProgressRequest": "",
    "WatchRequest": "WatchCreateRequest create_request 1, WatchProgressRequest progress_request 3",
    "WatchResponse": (
        "ResponseHeader header 1, int64 watch_id 2, bool created 3, bool canceled 4, int64 compact_revision 5, "
        "string cancel_reason 6, bool fragment 7, Event* events 11"
    ),
    "LeaseGrantRequest": "int64 TTL 1, int64 ID 2",
    "LeaseGrantResponse": "ResponseHeader header 1, int64 ID 2, int64 TTL 3, string error 4",
    "LeaseKeepAliveRequest": "int64 ID 1",
    "LeaseKeepAliveResponse": "ResponseHeader header 1, int64 ID 2, int64 TTL 3",
    "StatusRequest": "",
    "StatusResponse": "ResponseHeader header 1, string version 2, uint64 leader 4",
    "AuthenticateRequest": "string name 1, string password 2",
    "AuthenticateResponse": "ResponseHeader header 1, string token 2",
}
"""The fields of each message: type, name and number. A type with a star is repeated."""

_SCALARS = {"int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "bytes": 12}
"""FieldDescriptorProto.Type"""
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PACKAGE = "failoverd_etcd"


def _file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _ROWS.items():
        message = file.message_type.add(name=name)
        for row in filter(None, fields.split(", ")):
            kind, field, number = row.split()
            label = _REPEATED if kind.endswith("*") else _OPTIONAL
            kind = kind.rstrip("*")
            made = message.field.add(name=field, number=int(number), label=label, type=_SCALARS.get(kind, _MESSAGE))
            if kind not in _SCALARS:
                made.type_name = f".{_PACKAGE}.{kind}"
    return file


def _classes() -> dict[str, Any]:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(_file()) if hasattr(pool, "Add") else pool.AddSerializedFile(_file().SerializeToString())
    factory = getattr(message_factory, "GetMessageClass", None)
    if factory is None:  # before protobuf 4.22, as on Debian 12 and 13
        factory = message_factory.MessageFactory(pool).GetPrototype
    return {name: factory(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _ROWS}


Messages: Any = SimpleNamespace(**_classes())
"""The classes by their names: `Messages.RangeRequest(key=b"a")`."""
