"""Reads documents from standard input, each behind its length in four bytes, and
writes a line for each: what a parser of Python made of it, in the form that
document_test.go has for it. The argument says what they are: plist or xml."""

import plistlib
import struct
import sys
import xml.parsers.expat


def value(v):
    if isinstance(v, bool):
        return "t" if v else "f"
    if isinstance(v, int):
        return "i%d" % v
    if isinstance(v, float):
        return "rnan" if v != v else "r" + struct.pack(">d", v).hex()
    if isinstance(v, str):
        return "s" + v.encode().hex()
    if isinstance(v, bytes):
        return "d" + v.hex()
    if isinstance(v, list):
        return "[" + "".join(value(e) + "," for e in v) + "]"
    if isinstance(v, dict):
        keys = sorted((k.encode().hex(), e) for k, e in v.items())
        return "{" + "".join(k + ":" + value(e) + "," for k, e in keys) + "}"
    raise TypeError(type(v))


def tree(document):
    out = []

    def start(name, attributes):
        out.append("(" + name)
        for k, v in zip(attributes[::2], attributes[1::2]):
            out.append(" " + k + "=" + v.encode().hex())
        out.append(";")

    parser = xml.parsers.expat.ParserCreate()
    parser.ordered_attributes = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: out.append(")")
    parser.CharacterDataHandler = lambda text: out.append(text.encode().hex())
    parser.Parse(document, True)
    return "".join(out)


read = {"plist": lambda d: value(plistlib.loads(d, fmt=plistlib.FMT_XML)), "xml": tree}[sys.argv[1]]
while head := sys.stdin.buffer.read(4):
    document = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
    print(read(document))
