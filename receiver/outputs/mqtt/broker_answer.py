"""What a broker's reason codes mean (pure; MQTT 5.0, 2.4; of 3.1.1 the few of its CONNACK, told as those of 5.0)."""

from __future__ import annotations

from receiver.outputs.shipping.server_answer import Ruling, ServerAnswer

NO_READER = 0x10
"""It was accepted, and nobody subscribes to its topic: the broker drops it."""
WRONG_PASSWORD, NOT_ALLOWED = 0x86, 0x87
REFUSED_FROM = 0x80
"""Codes from here on are refusals."""

_WHO = "mend user, password_file or the broker's list of users"
_MAY = "let the user write these topics, and read its own commands, in the broker's access list"
_BY_HAND = {
    0x84: 'the broker does not speak MQTT 5; write version = "3.1.1"',
    0x85: "the broker does not take this client_id; write another",
    WRONG_PASSWORD: _WHO,
    NOT_ALLOWED: _MAY,
    0x8A: "the broker banned this client; ask who runs it",
    0x8C: _WHO,
    0x8E: "another client came with the same client_id; give each its own",
    0x9A: "the broker keeps no messages; write retain = false",
    0x9B: "the broker gives no answers (its maximum QoS is 0); raise it",
    0x9C: "the broker is somewhere else now; mend url",
    0x9D: "the broker is somewhere else now; mend url",
}
_TOO_LARGE = 0x95
_OF_CONTENT = {0x82, 0x90, 0x99}
"""Malformed or not taken for what it holds: topic name invalid, payload format invalid, protocol error."""


class BrokerError(Exception):
    """It did not take what it was sent."""

    def __init__(self, answer: ServerAnswer) -> None:
        super().__init__(answer.words)
        self.answer = answer


def answer_of(code: int, words: str) -> ServerAnswer:
    """The answer for a reason code that is a refusal.

    Args:
        words: The code's name, and what the broker said besides.
    """
    if code in _BY_HAND:
        return ServerAnswer(Ruling.HOLD, words, _BY_HAND[code])
    if code == _TOO_LARGE:
        return ServerAnswer(Ruling.LARGE, words, refusal="too large")
    if code in _OF_CONTENT:
        return ServerAnswer(Ruling.REFUSED, words, refusal=f"0x{code:02x}")
    return ServerAnswer(Ruling.AGAIN, words, "nothing, where the broker comes back; else look at its log")
