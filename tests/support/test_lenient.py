"""The forgiving readers find what is hidden, or no test that relies on them means anything."""

from __future__ import annotations

import pytest

from tests.support.lenient import values

JSON, FORM = b"application/json", b"application/x-www-form-urlencoded"
MULTIPART = b"multipart/form-data; boundary=b"
PART = b"--b\r\nContent-Disposition: form-data; %b\r\n\r\nbad\r\n"
END = b"--b--\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (JSON, b'{"field":"bad","field":"good"}'),
        (JSON, b'{"field":"good","field":"bad"}'),
        (JSON, b'{"field":"good","Field":"bad"}'),
        (JSON, b'{"\\u0066ield":["bad"]}'),
        (JSON, b'{"field\\u0000x":"bad"}'),
        (FORM, b'{"field":"bad","x":"&field=good&"}'),
        (FORM, b"field=good&field=bad"),
        (FORM, b"field=good&FIELD=bad"),
        (FORM, b"field=good;field=bad"),
        (FORM, b"field[]=bad"),
        (FORM, b"%66ield=bad"),
        (FORM, b"field%00=bad"),
        (MULTIPART, PART % b'name="field"' + END),
        (MULTIPART, PART % b"name=Field" + END),
        (MULTIPART, PART % b'name="x"; name="field"' + END),
        (MULTIPART, PART % b'name="field[]"; filename="f"' + END),
        (MULTIPART, (PART % b'name="field"').replace(b"\r\n", b"\n") + END),
        (MULTIPART, PART % b'name="x"' + END + PART % b'name="field"' + END),
    ],
)
def test_what_is_hidden_is_found(kind: bytes, body: bytes) -> None:
    assert "bad" in values("field", b"", kind, body)


def test_the_query_counts_and_other_fields_do_not() -> None:
    assert values("field", b"field=bad&x=y", JSON, b'{"x":"field=worse"}') == {"bad"}
    assert values("field", b"", MULTIPART, PART % b'name="other"' + END) == set()
