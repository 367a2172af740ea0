"""Protocol buffers by field number, as much of them as CRI needs: strings, numbers, messages, lists, maps."""

VARINT, BYTES = 0, 2
FIXED = {1: 8, 5: 4}  # wire type → bytes, to step over


def varint(number):
    encoded = b""
    while number > 127:
        encoded += bytes([number & 127 | 128])
        number >>= 7
    return encoded + bytes([number])


def encode(message):
    """{field number: value}; a value is a str, bytes, int, bool, such a dict, or a list of them. None is left out."""
    encoded = b""
    for number, values in message.items():
        for value in values if isinstance(values, list) else [values]:
            encoded += field(number, value)
    return encoded


def field(number, value):
    if value is None:
        return b""
    if isinstance(value, int):
        return varint(number << 3 | VARINT) + varint(value)
    content = encode(value) if isinstance(value, dict) else value.encode() if isinstance(value, str) else value
    return varint(number << 3 | BYTES) + varint(len(content)) + content


def text_map(table):
    """A map of strings, as the value of a field."""
    return [{1: key, 2: value} for key, value in table.items()]


def decode(encoded):
    """{field number: [values]}; a value is an int, or the bytes of a string or message."""
    message, at = {}, 0
    while at < len(encoded):
        key, at = read_varint(encoded, at)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, at = read_varint(encoded, at)
        else:
            size, at = read_varint(encoded, at) if kind == BYTES else (FIXED[kind], at)
            value, at = encoded[at : at + size], at + size
        message.setdefault(number, []).append(value)
    return message


def read_varint(encoded, at):
    value = shift = 0
    while True:
        byte = encoded[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def within(message, *numbers):
    """The first value at a path of field numbers, or None."""
    for number in numbers[:-1]:
        message = decode(message.get(number, [b""])[0])
    return message.get(numbers[-1], [None])[0]
