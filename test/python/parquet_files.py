"""Writes Parquet, Arrow and CSV files in many forms, and prints what is in them as JSON; or reads one file of ours back."""

import datetime
import decimal
import json
import math
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def table(rows):
    d = decimal.Decimal
    null = lambda f: [None if i % 5 == 2 else f(i) for i in range(rows)]
    return pa.table({
        "f32": pa.array([i / 3 for i in range(rows)], pa.float32()),
        "f64": pa.array(null(lambda i: i / 7), pa.float64()),
        "f16": pa.array([i / 4 for i in range(rows)], pa.float16()),
        "i8": pa.array(null(lambda i: i % 250 - 125), pa.int8()),
        "u8": pa.array([i % 256 for i in range(rows)], pa.uint8()),
        "i16": pa.array([i - 300 for i in range(rows)], pa.int16()),
        "u32": pa.array([2**32 - 1 - i for i in range(rows)], pa.uint32()),
        "i32": pa.array(null(lambda i: (-1) ** i * i * 1000003), pa.int32()),
        "i64": pa.array(null(lambda i: (-1) ** i * (2**62 - i * 12345678901)), pa.int64()),
        "u64": pa.array([2**64 - 1 - i for i in range(rows)], pa.uint64()),
        "flag": pa.array(null(lambda i: i % 3 == 0), pa.bool_()),
        "text": pa.array(null(lambda i: f"téxt {i % 17}" * (i % 4)), pa.string()),
        "raw": pa.array([bytes([i % 256, 255]) for i in range(rows)], pa.binary()),
        "day": pa.array(null(lambda i: i - 100), pa.date32()),
        "stamp": pa.array(null(lambda i: i * 1234567 - 10**9), pa.timestamp("us", "UTC")),
        "nano": pa.array([i * 10**9 + i for i in range(rows)], pa.timestamp("ns")),
        "money": pa.array(null(lambda i: d(i - 50) / 100), pa.decimal128(9, 2)),
        "large": pa.array([d(i) * 10**20 + d("0.5") for i in range(rows)], pa.decimal128(30, 3)),
        "list": pa.array(null(lambda i: [None if j == 2 else j / 2 for j in range(i % 5)]), pa.list_(pa.float32())),
        "deep": pa.array([[[j] * (j % 3) for j in range(i % 4)] for i in range(rows)], pa.list_(pa.list_(pa.int32()))),
        "place": pa.array([{"x": i, "y": None if i % 2 else str(i)} for i in range(rows)], pa.struct([("x", pa.int32()), ("y", pa.string())])),
    })


def plain(value):
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float):
        return value.hex() if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value)


def columns(t):
    out = {}
    for name in t.column_names:
        column = t.column(name)
        kind = column.type
        if pa.types.is_struct(kind):
            for i, field in enumerate(kind):
                out[f"{name}.{field.name}"] = [plain(v[field.name]) for v in column.to_pylist()]
            continue
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.int64())
        elif pa.types.is_date32(kind):
            column = column.cast(pa.int32())
        values = column.to_pylist()
        if pa.types.is_decimal(kind) and kind.precision <= 18:
            values = [None if v is None else int(v.scaleb(kind.scale)) for v in values]
        elif pa.types.is_decimal(kind):
            values = [format(v, "f") for v in values]
        elif pa.types.is_float16(kind):
            values = [float(v) for v in values]
        out[name] = [plain(v) for v in values]
    return out


SPLIT = {"f32": "BYTE_STREAM_SPLIT", "f64": "BYTE_STREAM_SPLIT", "i32": "BYTE_STREAM_SPLIT", "i64": "BYTE_STREAM_SPLIT"}
DELTA = {"i32": "DELTA_BINARY_PACKED", "i64": "DELTA_BINARY_PACKED", "text": "DELTA_BYTE_ARRAY", "raw": "DELTA_LENGTH_BYTE_ARRAY"}

if sys.argv[1] == "write":
    folder = sys.argv[2]
    t = table(600)
    kinds = {
        "plain-none": dict(use_dictionary=False, compression="none"),
        "dictionary-snappy": dict(compression="snappy"),
        "v2-zstd": dict(data_page_version="2.0", compression="zstd"),
        "gzip-crc": dict(compression="gzip", write_page_checksum=True),
        "lz4": dict(compression="lz4"),
        "brotli": dict(compression="brotli"),
        "split-snappy": dict(use_dictionary=False, column_encoding=SPLIT),
        "delta-v2": dict(use_dictionary=False, column_encoding=DELTA, data_page_version="2.0"),
        "small-pages": dict(data_page_size=256, write_batch_size=16, compression="snappy"),
        "int96": dict(use_deprecated_int96_timestamps=True),
    }
    for kind, options in kinds.items():
        pq.write_table(t, f"{folder}/{kind}.parquet", row_group_size=250, **options)
    print(json.dumps({"kinds": list(kinds), "columns": columns(t)}))
elif sys.argv[1] == "write-arrow":
    folder = sys.argv[2]
    t = table(600)
    options = {kind: pa.ipc.IpcWriteOptions(compression=kind) for kind in ("lz4", "zstd")}
    for kind in ("lz4", "zstd", "plain"):
        with pa.OSFile(f"{folder}/{kind}.arrow", "wb") as sink, pa.ipc.new_file(sink, t.schema, options=options.get(kind)) as out:
            out.write_table(t, max_chunksize=250)
    with pa.OSFile(f"{folder}/stream.arrow", "wb") as sink, pa.ipc.new_stream(sink, t.schema) as out:
        out.write_table(t, max_chunksize=250)
    # The same values in the other layouts that Arrow has for them.
    other = t
    for name, kind in {
        "text": pa.large_string(), "raw": pa.large_binary(), "list": pa.large_list(pa.float32()),
        "day": pa.date64(), "money": pa.decimal128(12, 2),
    }.items():
        other = other.set_column(other.column_names.index(name), name, other.column(name).cast(kind))
    with pa.OSFile(f"{folder}/other.arrow", "wb") as sink, pa.ipc.new_file(sink, other.schema) as out:
        out.write_table(other.slice(3), max_chunksize=250)
    more = pa.table({
        "code": pa.array(["b", None, "a", "b"]).dictionary_encode(),
        "view": pa.array(["short", None, "a text longer than twelve bytes", ""], pa.string_view()),
        "pair": pa.array([[1, 2], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int16(), 2)),
        "none": pa.nulls(4),
        "second": pa.array([1, None, -3, 4], pa.timestamp("s")),
        "places": pa.array([[{"x": 1}], [], None, [{"x": None}, {"x": 4}]], pa.list_(pa.struct([("x", pa.int32())]))),
        "map": pa.array([[("k", 1)], [], None, [("l", None)]], pa.map_(pa.string(), pa.int8())),
    })
    with pa.OSFile(f"{folder}/more.arrow", "wb") as sink, pa.ipc.new_file(sink, more.schema) as out:
        out.write_table(more)
    print(json.dumps({"kinds": ["lz4", "zstd", "plain", "stream", "other"], "columns": columns(t)}))
elif sys.argv[1] == "read-arrow":
    t = pa.ipc.open_file(sys.argv[2]).read_all()
    t.validate(full=True)
    print(json.dumps({"types": {n: str(t.schema.field(n).type) for n in t.column_names}, "columns": columns(t)}))
elif sys.argv[1] == "write-csv":
    import pyarrow.csv as csv
    t = table(600)
    t = t.select([n for n in t.column_names if n not in ("list", "deep", "place", "raw", "f16", "money", "large", "nano", "stamp")])
    csv.write_csv(t, f"{sys.argv[2]}/theirs.csv")
    print(json.dumps({"columns": columns(t), "types": {n: str(t.schema.field(n).type) for n in t.column_names}}))
elif sys.argv[1] == "read-csv":
    import pyarrow.csv as csv
    types = {"f32": pa.float32(), "f64": pa.float64(), "i64": pa.int64(), "u64": pa.uint64(), "flag": pa.bool_(), "text": pa.string(), "day": pa.date32(), "i8": pa.int8(), "u8": pa.uint8(), "i16": pa.int16(), "u32": pa.uint32(), "i32": pa.int32()}
    options = csv.ConvertOptions(column_types=types, strings_can_be_null=True, quoted_strings_can_be_null=False, null_values=[""])
    print(json.dumps({"columns": columns(csv.read_csv(sys.argv[2], convert_options=options))}))
else:
    t = pq.read_table(sys.argv[2])
    group = pq.read_metadata(sys.argv[2]).row_group(0)
    chunks = [group.column(i) for i in range(group.num_columns)]
    bounds = {c.path_in_schema: [plain(c.statistics.min), plain(c.statistics.max)] for c in chunks if c.path_in_schema in ("i16", "u64", "f32")}
    print(json.dumps({"bounds": bounds, "types": {n: str(t.schema.field(n).type) for n in t.column_names}, "columns": columns(t)}))
