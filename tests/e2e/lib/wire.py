"""What an SMTP client put on the wire, read back into transactions."""
import re


def transactions(raw):
    """[(sender, [recipients], data)] of a plain-text SMTP client's bytes; DATA is unstuffed, BDAT joined. Right for servers that
    accept everything."""
    out, sender, recipients, data, at = [], None, [], b"", 0
    raw = bytes(raw)
    while at < len(raw):
        end = raw.index(b"\r\n", at)
        line, at = raw[at:end], end + 2
        verb = line.split(b" ")[0].upper()
        if verb == b"MAIL":
            sender, recipients, data = re.search(rb"<(.*?)>", line).group(1).decode(), [], b""
        elif verb == b"RCPT":
            recipients.append(re.search(rb"<(.*?)>", line).group(1).decode())
        elif verb == b"BDAT":
            n = int(line.split()[1])
            data, at = data + raw[at:at + n], at + n
            if line.upper().endswith(b" LAST"):
                out.append((sender, recipients, data))
        elif verb == b"DATA":
            end = raw.index(b"\r\n.\r\n", at - 2)
            data = re.sub(rb"\r\n\.", b"\r\n", b"\r\n" + raw[at:end + 2])[2:]
            at = end + 5
            out.append((sender, recipients, data))
    return out
