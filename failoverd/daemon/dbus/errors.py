"""The errors of failoverd's own that a D-Bus call may return.

They are the kinds of core.call_answers.CallError, so that failoverctl and D-Bus refuse in the same words.
"""

from __future__ import annotations

ERRORS: dict[str, str] = {
    "NoSuchDevice": "No device has this name, alternative name, MAC or ifindex.",
    "NoSuchInterface": "No interface has this name, alternative name, MAC or ifindex.",
    "SeveralInterfaces": "Several interfaces have this MAC; the text names them.",
    "NoDocument": "The interface's name cannot be in XML; Describe tells of it.",
    "NoSuchPair": "The device belongs to no pair; Explain says why.",
    "NoSuchSlave": "The pair has no such slave; Primary and Standby are those it has.",
    "NoSuchLink": "No link of this name is declared, or not any more.",
    "AlreadyReleased": "The pair is released already; Adopt joins it again.",
    "JoinedByKernel": "The kernel holds the pair itself (net_failover, hv_netvsc), and does not let this be done.",
    "NotJoined": "The pair is not joined, or not yet; State and Reason say more.",
    "NoStandby": "There is no standby that could carry the traffic.",
    "NotDrained": "The pair is not drained, or not any more.",
    "Unfit": "The slave cannot carry the traffic; the text says why.",
    "InvalidName": "The kernel takes no such name for a device.",
    "NameTaken": "Another device has this name.",
    "Busy": "It cannot be done now; the text says why, and when to try again.",
    "BadArgument": "An argument has a value that makes no sense; the text says which, and what it may be.",
    "ConfigurationInvalid": "The configuration has mistakes; the text names file and line, and the old one stays.",
    "TimedOut": "It has not come true in time. It may still happen: the properties tell.",
    "Failed": "The call failed for a reason that only its text says.",
}
"""The error names below org.failoverd1.Error, and the meaning of each."""
