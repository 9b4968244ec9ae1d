"""Trace readers read what they claim to, share what a trace shares, and blame the right line."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from sim.errors import UserError
from sim.workload import Requests, WorkloadSpec, generate
from sim.workload.writing import block_ids, csv_text, mooncake_text

HEAD = "arrival_s,prompt_tokens,output_tokens\n"
HEAD_PREFIX = "arrival_s,prompt_tokens,output_tokens,prefix_of\n"
OURS = """# synthetic
arrival_s,prompt_tokens,output_tokens
0.5,100,10
0.25,200,20

2.0,300,30
"""


def read(path: Path, text: str | bytes, /, **trace: object) -> Requests:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    tree: dict[str, object] = {"arrivals": {"process": "trace", "path": path.name, **trace}}
    for key in ("num_requests", "duration"):
        if key in trace:
            tree[key] = tree["arrivals"].pop(key)  # pyright: ignore
    return generate(WorkloadSpec.model_validate(tree), 0, path.parent)


def refusal(path: Path, text: str | bytes, /, **trace: object) -> str:
    with pytest.raises(UserError) as caught:
        read(path, text, **trace)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "trace.csv"


# Our CSV


def test_requests_come_in_order_of_arrival_whatever_the_order_of_lines(file):
    requests = read(file, OURS)
    assert requests.arrival.tolist() == [0.25, 0.5, 2.0]
    assert requests.prompt_tokens.tolist() == [200, 100, 300]
    assert requests.output_tokens.tolist() == [20, 10, 30]
    assert requests.pieces is None
    assert requests.concurrency is None


def test_a_gzip_file_reads_as_the_plain_one(file):
    plain = read(file, OURS)
    packed = read(file.with_name("trace.csv.gz"), gzip.compress(OURS.encode()))
    assert packed.arrival.tolist() == plain.arrival.tolist()


def test_times_are_shifted_scaled_and_cut(file):
    assert read(file, OURS, time_scale=0.5).arrival.tolist() == [0.125, 0.25, 1.0]
    assert read(file, OURS, start="0.4 s").arrival.tolist() == pytest.approx([0.1, 1.6])
    assert read(file, OURS, duration="1 s").arrival.tolist() == [0.25, 0.5]
    assert read(file, OURS, num_requests=1).prompt_tokens.tolist() == [200]
    assert read(file, OURS, start="0.4 s", time_scale=2.0, duration="1 s").arrival.tolist() == pytest.approx(
        [0.2]
    )


def test_recorded_times_can_be_replaced_by_a_rate_or_a_closed_loop(file):
    poisson = read(file, OURS, rate=5.0)
    assert poisson.prompt_tokens.tolist() == [100, 200, 300]
    assert poisson.arrival[0] not in (0.25, 0.5)
    closed = read(file, OURS, concurrency=2)
    assert closed.concurrency == 2
    assert closed.arrival.tolist() == [0, 0, 0]
    assert closed.prompt_tokens.tolist() == [100, 200, 300]


def test_columns_of_another_csv_are_mapped_and_its_clock_starts_at_zero(file):
    text = "id,when,in,out\na,1700000000500,7,8\nb,1700000000000,5,6\n"
    columns = {"arrival_s": "when", "prompt_tokens": "in", "output_tokens": "out"}
    requests = read(file, text, columns=columns, time_unit="ms")
    assert requests.arrival.tolist() == [0.0, 0.5]
    assert requests.prompt_tokens.tolist() == [5, 7]


def test_a_conversation_begins_with_all_that_was_said_before(file):
    text = (
        "arrival_s,prompt_tokens,output_tokens,session,turn,client\n"
        "0,100,10,a,1,web\n1,50,5,b,1,app\n2,130,20,a,2,web\n9,400,1,a,3,web\n3,9,9,,1,\n"
    )
    requests = read(file, text)
    assert requests.clients == ("web", "app")
    assert requests.client.tolist() == [0, 1, 0, -1, 0]
    assert requests.session.tolist() == [0, 1, 0, -1, 0]
    assert requests.pieces is not None
    first, _, second, _, third = requests.pieces
    answer = requests.output_segment.tolist()
    assert second[:2] == (*first, (answer[0], 10))
    assert third[:4] == (*second, (answer[2], 20))
    assert [sum(n for _, n in p) for p in requests.pieces] == requests.prompt_tokens.tolist()


def test_a_prompt_shorter_than_its_history_shares_as_much_as_it_holds(file):
    text = HEAD_PREFIX + "0,100,10,\n1,60,5,0\n2,105,1,0\n3,110,1,0\n"
    pieces = read(file, text).pieces
    assert pieces is not None
    segment = pieces[0][0][0]
    assert pieces[1] == ((segment, 60),)
    assert pieces[2][0] == (segment, 100)
    assert pieces[2][1][1] == 5
    assert len(pieces[3]) == 2


def test_a_cut_that_drops_the_parent_drops_the_sharing_too(file):
    text = HEAD_PREFIX + "0,100,10,\n1,160,5,0\n2,300,1,1\n"
    pieces = read(file, text, start="0.5 s").pieces
    assert pieces is not None
    assert pieces[0] == ((pieces[0][0][0], 160),)
    assert pieces[1][0] == pieces[0][0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "trace.csv is empty"),
        ("# only a comment\n", "trace.csv is empty"),
        (HEAD, "a header but no requests"),
        ("arrival_s,prompt_token,output_tokens\n0,1,1\n", ":1: no column 'prompt_tokens'; did you mean"),
        (HEAD + "0,1,1\n0,x,1\n", ":3: prompt_tokens: found 'x', needs a whole number"),
        (HEAD + "0,1,1\n0,1.5,1\n", ":3: prompt_tokens: found '1.5'"),
        (HEAD + "0,1,0\n", ":2: output_tokens: found '0', needs a whole"),
        (HEAD + "\n#\n-1,1,1\n", ":4: arrival_s: found '-1', needs a time"),
        (HEAD + "nan,1,1\n", ":2: arrival_s: found 'nan'"),
        (HEAD + "0,inf,1\n", ":2: prompt_tokens: found 'inf'"),
        (HEAD + "0,,1\n", ":2: prompt_tokens: found nothing"),
        (HEAD + "0,1\n", ":2: found 2 values, the header names 3"),
        ('arrival_s,prompt_tokens,output_tokens\n"0,1,1\n', ":2: not valid CSV"),
        ("arrival_s;prompt_tokens;output_tokens\n0;1;1\n", "separated by commas"),
        ("prompt_tokens,prompt_tokens,output_tokens\n1,1,1\n", "named twice"),
        ("prompt_tokens,output_tokens\n1,1\n", "no arrival times; give arrivals.rate or"),
        (HEAD_PREFIX + "0,1,1,0\n", ":2: prefix_of: found '0', needs nothing"),
        (HEAD_PREFIX + "0,1,1,\n0,1,1,1\n", ":3: prefix_of: found '1'"),
        ("arrival_s,prompt_tokens,output_tokens,priority\n0,1,1,high\n", ":2: priority: found 'high'"),
    ],
)  # fmt: skip
def test_a_malformed_line_is_blamed_by_its_number(file, text: str, says: str):
    assert says in refusal(file, text)


def test_unreadable_files_are_one_sentence(file):
    assert "cannot be read" in refusal(file, OURS, path="elsewhere.csv")
    assert "cannot be read" in refusal(file, OURS, path=".")
    assert "damaged gzip" in refusal(file, gzip.compress(OURS.encode())[:-9])
    assert "damaged gzip" in refusal(file, b"\x1f\x8bnot really")
    assert ":2: not UTF-8" in refusal(file, b"a,b\n\xff\xfe\n")


def test_a_window_without_requests_is_refused(file):
    assert "none of its 3 requests lies within" in refusal(file, OURS, start="1 h")


@pytest.mark.parametrize(
    ("trace", "says"),
    [
        ({"rate": 1.0, "concurrency": 3}, "not both"),
        ({"format": "azure", "columns": {"arrival_s": "t"}}, "columns of azure are fixed"),
        ({"columns": {"arrivals": "t"}}, "arrivals"),
        ({"format": "csvv"}, "format"),
        ({"time_scale": 0.0}, "time_scale"),
        ({"start": "-1 s"}, "start"),
    ],
)
def test_trace_options_that_do_not_fit_together_are_refused(trace: dict[str, object], says: str):
    with pytest.raises(ValidationError) as caught:
        WorkloadSpec.model_validate({"arrivals": {"process": "trace", "path": "x", **trace}})
    assert says in str(caught.value)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.sampled_from(["csv", "jsonl", "mooncake", "azure", "burstgpt", "vllm-bench", "sharegpt"]),
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda t: (HEAD + t).encode()),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["prompt_tokens", "output_tokens", "hash_ids", "timestamp", "input_length",
                     "output_length", "conversations", "value", "input_lens", "output_lens",
                     "session", "turn", "prefix_of"]
                ),
                inner, max_size=6,
            ),
            max_leaves=12,
        ).map(lambda tree: json.dumps(tree).encode()),
    ),
)  # fmt: skip
def test_any_file_in_any_format_gives_requests_or_one_sentence(tmp_path, kind: str, content: bytes):
    path = tmp_path / "any.csv"
    try:
        requests = read(path, content, format=kind, rate=1.0)
    except UserError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert len(requests) >= 1
    assert "\n" not in sentence


# Other formats


def test_azure_rows_are_dates_from_the_first_on(file):
    text = (
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"
    )
    requests = read(file, text, format="azure")
    assert requests.arrival.tolist() == pytest.approx([0.0, 4.314579], abs=1e-9)
    utc = text.replace("6805900", "680590+00:00").replace("9951690", "995169+00:00")
    assert read(file, utc, format="azure").arrival.tolist() == pytest.approx([0.0, 4.314579], abs=1e-9)
    bad = text.replace("2023-11-16 18:15:50.9951690", "yesterday")
    assert ":3: TIMESTAMP: found 'yesterday', needs a date and time" in refusal(file, bad, format="azure")


def test_failed_burstgpt_requests_are_left_out_and_said_to_be(file):
    head = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    text = (
        head
        + "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,0,1087,API log\n118,GPT-4,417,276,693,x\n"
    )
    requests = read(file, text, format="burstgpt")
    assert requests.prompt_tokens.tolist() == [472, 417]
    assert requests.arrival.tolist() == [5, 118]
    assert "1 failed" in requests.synthetic
    assert "no answered" in refusal(file, head + "5,a,3,0,3,x\n", format="burstgpt")


def test_jsonl_reads_our_fields_or_mapped_ones(file):
    ours = (
        '{"arrival_s": 1, "prompt_tokens": 5, "output_tokens": 6}\n'
        '{"arrival_s": 0, "prompt_tokens": 7, "output_tokens": 8}\n'
    )
    assert read(file, ours, format="jsonl").prompt_tokens.tolist() == [7, 5]
    theirs = (
        '{"request_id": "bench-0", "input_toks": 2358, "output_toks": 531, "arrival_time": 1787267980.5}\n'
    )
    columns = {"prompt_tokens": "input_toks", "output_tokens": "output_toks", "arrival_s": "arrival_time"}
    requests = read(file, theirs, format="jsonl", columns=columns)
    assert (requests.arrival[0], requests.prompt_tokens[0], requests.output_tokens[0]) == (0.0, 2358, 531)
    assert "no field 'prompt_tokens'" in refusal(file, '{"prompt_token": 1}', format="jsonl")
    assert ":2: not valid JSON" in refusal(file, ours.splitlines()[0] + "\n{", format="jsonl")
    assert ":1: found [1], needs a JSON object" in refusal(file, "[1]", format="jsonl")
    assert "found True, needs a whole number" in refusal(
        file, '{"arrival_s": 1, "prompt_tokens": true, "output_tokens": 6}', format="jsonl"
    )


def test_mooncake_hashes_become_pieces_of_512_tokens_and_a_partial_last(file):
    text = (
        '{"timestamp": 0, "input_length": 1100, "output_length": 5, "hash_ids": [0, 1, 2]}\n'
        '{"timestamp": 3000, "input_length": 1024, "output_length": 7, "hash_ids": [0, 9]}\n'
    )
    requests = read(file, text, format="mooncake")
    assert requests.arrival.tolist() == [0, 3]
    assert requests.pieces == (((0, 512), (1, 512), (2, 76)), ((0, 512), (9, 512)))
    assert set(requests.output_segment.tolist()).isdisjoint({0, 1, 2, 9})
    short = text.replace("[0, 9]", "[0]")
    assert ":2: hash_ids: found '1 ids', needs 2, one per 512 tokens" in refusal(
        file, short, format="mooncake"
    )
    assert ":1: hash_ids: found nothing" in refusal(file, text.replace("hash_ids", "ids"), format="mooncake")
    assert ":1: hash_ids: found -1" in refusal(
        file, text.replace("[0, 1, 2]", "[-1, 1, 2]"), format="mooncake"
    )


def test_a_vllm_benchmark_result_gives_lengths_and_times_where_it_has_them(file):
    result = {"input_lens": [10, 20, 30], "output_lens": [1, 0, 3], "num_prompts": 3}
    assert "no arrival times" in refusal(file, json.dumps(result), format="vllm-bench")
    replayed = read(file, json.dumps(result), format="vllm-bench", concurrency=2)
    assert replayed.prompt_tokens.tolist() == [10, 30]
    timed = read(file, json.dumps(result | {"start_times": [7.0, 7.5, 9.0]}), format="vllm-bench")
    assert timed.arrival.tolist() == [0.0, 2.0]
    assert "output_lens has 1 values" in refusal(
        file, json.dumps(result | {"output_lens": [1]}), format="vllm-bench"
    )
    assert "input_lens: found nothing, needs a list" in refusal(file, "{}", format="vllm-bench")


def test_sharegpt_texts_are_counted_in_characters_and_said_to_be_estimated(file):
    human = {"from": "human", "value": "x" * 401}
    records = [
        {"id": "a", "conversations": [human, {"from": "gpt", "value": "y" * 80}]},
        {"conversations": [human]},
    ]
    requests = read(file, json.dumps(records), format="sharegpt", rate=1.0)
    assert requests.prompt_tokens.tolist() == [101]
    assert requests.output_tokens.tolist() == [20]
    assert "estimated at 4 characters per token" in requests.synthetic
    korean = read(file, json.dumps(records), format="sharegpt", rate=1.0, characters_per_token=2.0)
    assert korean.prompt_tokens.tolist() == [201]
    lines = "\n".join(json.dumps(record) for record in records)
    again = read(file.with_name("s.jsonl"), lines, format="sharegpt", rate=1.0)
    assert again.prompt_tokens.tolist() == [101]
    assert "no conversation of two messages" in refusal(file, "[]", format="sharegpt", rate=1.0)


def test_recorded_priorities_are_kept_and_a_stated_mix_replaces_them(file):
    text = "arrival_s,prompt_tokens,output_tokens,priority\n1,5,5,7\n0,5,5,-3\n"
    assert read(file, text).priority.tolist() == [-3, 7]
    tree = {"arrivals": {"process": "trace", "path": file.name}, "priority": {"values": [4]}}
    assert generate(WorkloadSpec.model_validate(tree), 0, file.parent).priority.tolist() == [4, 4]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("3", "needs a JSON list"),
        ("[3]", "record: found 'int', needs an object"),
        ('[{"conversations": 3}]', "conversations: found 3, needs a list of messages"),
        ('[{"conversations": [{"value": 3}]}]', "needs messages with a text 'value'"),
        ("[\n{]", ":2: not valid JSON"),
    ],
)
def test_a_malformed_conversation_file_is_refused(file, text: str, says: str):
    assert says in refusal(file, text, format="sharegpt", rate=1.0)


# Scaling


def test_lengths_are_scaled_apart_from_times(file):
    requests = read(file, OURS, prompt_scale=2.5, output_scale=0.01, time_scale=0.5)
    assert requests.arrival.tolist() == [0.125, 0.25, 1.0]
    assert requests.prompt_tokens.tolist() == [500, 250, 750]
    assert requests.output_tokens.tolist() == [1, 1, 1]


@given(st.floats(0.01, 8), st.lists(st.integers(1, 3000), min_size=2, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_a_scaled_mooncake_trace_shares_the_same_blocks(tmp_path: Path, factor: float, prompts: list[int]):
    lines = [
        {"timestamp": 0, "input_length": n, "output_length": 1, "hash_ids": list(range(-(-n // 512)))}
        for n in prompts
    ]
    text = "\n".join(json.dumps(line) for line in lines)
    plain, scaled = (
        read(tmp_path / "m.jsonl", text, format="mooncake", prompt_scale=scale) for scale in (1.0, factor)
    )
    assert plain.pieces is not None
    assert scaled.pieces is not None
    for before, after, tokens in zip(plain.pieces, scaled.pieces, scaled.prompt_tokens, strict=True):
        assert [block for block, _ in after] == [block for block, _ in before]
        assert sum(length for _, length in after) == tokens
        assert min(length for _, length in after) >= 1


# Writing


def test_what_is_written_as_csv_reads_back(file):
    requests = read(file, OURS)
    again = read(file, csv_text(requests, comment="synthetic"))
    assert again.arrival.tolist() == requests.arrival.tolist()
    assert again.prompt_tokens.tolist() == requests.prompt_tokens.tolist()
    assert again.output_tokens.tolist() == requests.output_tokens.tolist()


def test_what_is_written_as_mooncake_shares_the_same_whole_blocks(file):
    rows = (
        "arrival_s,prompt_tokens,output_tokens,prefix_of\n0,1000,100,\n1,2000,50,0\n2,3000,50,1\n3,700,1,\n"
    )
    requests = read(file, rows)
    again = read(file.with_name("m.jsonl"), mooncake_text(requests, comment="synthetic"), format="mooncake")
    assert again.prompt_tokens.tolist() == requests.prompt_tokens.tolist()
    ids = block_ids(again, 512)
    assert ids == block_ids(requests, 512)
    assert ids[0][0] == ids[1][0] == ids[2][0]
    assert ids[1][:3] == ids[2][:3]
    assert ids[0][1] != ids[1][1]  # the first prompt's last block is partial
    assert not set(ids[3]) & set(ids[2])
