"""What no run of the DRAM model may break, checked from its command log by other means than its own."""

from collections import defaultdict, deque
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.dram import (
    BankQueueController,
    Device,
    MemorySystem,
    PatternSpec,
    Served,
    SharedQueueController,
    generate,
    interleaved_mapping,
    load_device,
    measure,
    numba_installed,
    parse_mapping,
    serve,
)
from sim.dram.commands import ACT, ACT2, PRE, PREAB, RD, RDA, REFAB, REFPB, WR, WRA
from sim.errors import UserError

needs_numba = pytest.mark.skipif(not numba_installed(), reason="the compiled loop needs numba")


def channel(name: str, *, whole: bool = True) -> Device:
    """A channel of a shipped device, or one pseudo-channel of it with one stack ID."""
    device = load_device(name).channel()
    if whole:
        return device
    return replace(device, organisation=replace(device.organisation, pseudo_channels=1, stack_ids=1))


def path(device: Device, bank: int) -> list[int]:
    """Nodes above a bank by level, numbered within the level."""
    o = device.organisation
    return [0, bank // o.scope_banks, bank // (o.bank_groups * o.group_banks), bank // o.group_banks, bank]


def violations(device: Device, log: np.ndarray) -> list[str]:
    """Commands of the log that come too early, by looking up the issues each constraint counts from."""
    sizes = device.organisation.level_sizes
    issued: dict[tuple[int, int, int], deque[int]] = defaultdict(lambda: deque(maxlen=8))
    elsewhere: dict[tuple[int, int, int], int] = {}
    found = []
    for tick, command, bank, _, _ in log.tolist():
        nodes = path(device, bank)
        for c in device.constraints:
            if c.following != command:
                continue
            if c.sibling:
                last = elsewhere.get((c.level, c.previous, nodes[c.level]))
            else:
                history = issued[c.level, c.previous, nodes[c.level]]
                last = history[-c.window] if len(history) >= c.window else None
            if last is not None and tick < last + c.ticks:
                found.append(f"command {command} to bank {bank} at {tick}: {c}")
        for level, node in enumerate(nodes):
            issued[level, command, node].append(tick)
            first = node // sizes[level] * sizes[level]
            for other in range(first, first + sizes[level]):
                if other != node:
                    elsewhere[level, command, other] = tick
    return found


def check_rows(device: Device, log: np.ndarray) -> None:
    """Rows are opened in closed banks, closed before refresh, and bursts go to the row that is open."""
    scope = device.organisation.scope_banks
    opened: dict[int, int] = {}
    for _, command, bank, row, _ in log.tolist():
        if command == ACT:
            assert bank not in opened
            opened[bank] = row
        elif command == ACT2 or RD <= command <= WRA:
            assert opened[bank] == row
        if command in (PRE, RDA, WRA):
            opened.pop(bank, None)
        if command == PREAB:
            for other in range(bank, bank + scope):
                opened.pop(other, None)
        if command == REFPB:
            assert bank not in opened
        if command == REFAB:
            assert not any(bank <= other < bank + scope for other in opened)


def check_bus(device: Device, write_latency: int, log: np.ndarray) -> None:
    """The data bus of a pseudo-channel carries one burst at a time."""
    busy_until: dict[int, int] = defaultdict(int)
    bursts = []
    for tick, command, bank, _, _ in log.tolist():
        if RD <= command <= WRA:
            late = write_latency if command in (WR, WRA) else device.read_latency - device.burst
            bursts.append((bank // device.organisation.scope_banks, tick + late))
    for pseudo_channel, begin in sorted(bursts, key=lambda burst: burst[1]):
        assert begin >= busy_until[pseudo_channel]
        busy_until[pseudo_channel] = begin + device.burst


def check_served_once(served: Served) -> None:
    """Each completed request has one burst of its kind, unless it was merged with another of its line."""
    bursts = defaultdict(int)
    for _, command, _, _, request in served.log.tolist():
        if RD <= command <= WRA:
            assert (command in (WR, WRA)) == bool(served.write[request])
            bursts[request] += 1
    assert set(bursts.values()) <= {1}
    done = np.flatnonzero(served.done)
    assert (served.departed[done] >= served.accepted[done]).all()
    assert (served.done[done] >= served.departed[done]).all()


controllers = st.one_of(
    st.builds(
        SharedQueueController,
        depth=st.integers(1, 40),
        protect_hits=st.booleans(),
        cap=st.sampled_from([None, None, 1, 4]),
        refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
        refresh_holds=st.sampled_from(["banks", "channel"]),
    ),
    st.builds(
        BankQueueController,
        depth=st.integers(9, 40),
        bank_depth=st.integers(1, 10),
        auto_precharge=st.booleans(),
        refresh=st.sampled_from(["off", "all-bank", "per-bank"]),
    ),
)
names = st.sampled_from(["hbm2", "hbm2e", "hbm3", "hbm3e", "hbm4", "gddr6", "gddr7", "lpddr5"])
reads_or_writes = st.sampled_from(["seq", "rand", "streams_rnd", "stride"])


@settings(max_examples=40, deadline=None)
@given(
    names,
    controllers,
    reads_or_writes,
    st.sampled_from([1, 4, 16]),
    st.sampled_from([0.0, 0.0, 1.0]),
    st.integers(0, 24),
    st.integers(1, 1000),
)
def test_no_constraint_is_broken_whatever_the_controller_and_the_pattern(
    name: str,
    controller: SharedQueueController | BankQueueController,
    pattern: str,
    chunk: int,
    write_fraction: float,
    window: int,
    seed: int,
) -> None:
    whole = isinstance(controller, SharedQueueController)
    device = channel(name, whole=whole)
    if not whole and not device.two_slots:
        return
    # refreshes often enough to meet the requests
    device = replace(device, refresh_interval=2000, bank_refresh_interval=600)
    system = MemorySystem(device, interleaved_mapping(device.organisation), controller)
    spec = PatternSpec(
        pattern,  # type: ignore[arg-type]
        lines=system.mapping.lines,
        chunk=chunk,
        streams=3 if pattern == "streams_rnd" else 1,
        stride=33,
        write_fraction=write_fraction,
        seed=seed,
    )
    line, write = generate(spec, 260)
    served = serve(system, line, write, wanted=200, window=window, logged=4000, pure=not numba_installed())
    assert (served.done > 0).sum() >= 200
    assert violations(device, served.log) == []
    check_rows(device, served.log)
    times = load_device(name).timing
    clock = device.tick_ns * (2 if device.half_clock else 1) * 1e-9
    write_latency = int(np.ceil(times["cwl"] / clock - 1e-3)) * (2 if device.half_clock else 1)
    check_bus(device, write_latency, served.log)
    check_served_once(served)


@settings(max_examples=25, deadline=None)
@given(names, st.integers(1, 40), st.floats(0.05, 0.95), st.booleans(), st.integers(1, 1000))
def test_mixed_reads_and_writes_are_served_once_and_within_the_constraints(
    name: str, depth: int, write_fraction: float, per_bank: bool, seed: int
) -> None:
    device = channel(name, whole=not per_bank)
    if per_bank and not device.two_slots:
        return
    controller = BankQueueController(depth + 8, 4) if per_bank else SharedQueueController(depth)
    system = MemorySystem(device, parse_mapping("co:1,bg:1,ro:2,ba:1,co:1", "m"), controller)
    spec = PatternSpec("rand", lines=64, write_fraction=write_fraction, seed=seed)
    line, write = generate(spec, 300)
    served = serve(system, line, write, wanted=200, logged=4000, pure=not numba_installed())
    assert (served.done > 0).sum() >= 200
    assert violations(device, served.log) == []
    check_rows(device, served.log)
    check_served_once(served)


def test_a_command_one_tick_early_is_what_the_checker_finds() -> None:
    device = channel("hbm3")
    system = MemorySystem(device, interleaved_mapping(device.organisation), SharedQueueController(16))
    line, write = generate(PatternSpec("rand", lines=system.mapping.lines), 120)
    log = serve(system, line, write, wanted=60, logged=1000, pure=True).log
    assert violations(device, log) == []
    bursts = np.flatnonzero(log[:, 1] == RD)
    log[bursts[10], 0] = log[bursts[9], 0] + 1
    assert violations(device, log)


@needs_numba
@settings(max_examples=12, deadline=None)
@given(names, controllers, st.sampled_from([1, 8]), st.sampled_from([0.0, 0.4, 1.0]), st.integers(0, 9))
def test_the_compiled_loop_does_what_the_pure_one_does(
    name: str,
    controller: SharedQueueController | BankQueueController,
    chunk: int,
    write_fraction: float,
    window: int,
) -> None:
    whole = isinstance(controller, SharedQueueController)
    device = channel(name, whole=whole)
    if not whole and not device.two_slots:
        return
    if isinstance(controller, SharedQueueController) and controller.cap and 0 < write_fraction < 1:
        return
    system = MemorySystem(device, interleaved_mapping(device.organisation), controller)
    line, write = generate(
        PatternSpec("rand", lines=system.mapping.lines, chunk=chunk, write_fraction=write_fraction), 400
    )
    both = [
        serve(system, line, write, wanted=250, window=window, logged=3000, pure=pure)
        for pure in (True, False)
    ]
    assert (both[0].log == both[1].log).all()
    for column in ("accepted", "departed", "done", "acts"):
        assert (getattr(both[0], column) == getattr(both[1], column)).all()


@settings(max_examples=20, deadline=None)
@given(names, st.integers(1, 64), st.sampled_from([1, 2, 16, 64]))
def test_achieved_bandwidth_never_exceeds_the_peak(name: str, depth: int, chunk: int) -> None:
    device = channel(name)
    system = MemorySystem(
        device, interleaved_mapping(device.organisation), SharedQueueController(depth, refresh="off")
    )
    line, write = generate(PatternSpec("rand", lines=system.mapping.lines, chunk=chunk), 900)
    served = serve(system, line, write, wanted=600, pure=not numba_installed())
    assert 0 < measure(served, 100, 450).fraction <= 1.0


@needs_numba
@pytest.mark.parametrize("name", ["hbm2", "hbm3", "hbm4", "gddr6", "lpddr5"])
@pytest.mark.parametrize("pattern", ["seq", "rand"])
@pytest.mark.parametrize("mode", ["all-bank", "per-bank"])
def test_refresh_costs_bandwidth_and_never_gives_any(name: str, pattern: str, mode: str) -> None:
    device = channel(name)

    def fraction(refresh: str) -> float:
        system = MemorySystem(
            device,
            interleaved_mapping(device.organisation),
            SharedQueueController(64, refresh=refresh),  # type: ignore[arg-type]
        )
        spec = PatternSpec(pattern, lines=system.mapping.lines)  # type: ignore[arg-type]
        line, write = generate(spec, 62_000)
        return measure(serve(system, line, write, wanted=60_000), 5_000, 54_000).fraction

    assert fraction("off") >= fraction(mode) * 0.99


def test_an_idle_read_takes_activation_latency_and_burst() -> None:
    device = channel("hbm2")
    system = MemorySystem(
        device, interleaved_mapping(device.organisation), SharedQueueController(32, refresh="off")
    )
    line, write = generate(PatternSpec("rand", lines=system.mapping.lines), 40)
    served = serve(system, line[:1], write[:1], wanted=1, pure=True)
    opened = 14 + (2 - 1)  # tRCD 14 ns from the activation's second clock
    assert served.departed[0] - served.accepted[0] == 1 + opened + 14 + 2


def test_single_lines_are_bound_by_four_activations_in_a_window() -> None:
    device = channel("hbm3", whole=False)
    system = MemorySystem(
        device, interleaved_mapping(device.organisation), SharedQueueController(128, refresh="off")
    )
    line, write = generate(PatternSpec("rand", lines=system.mapping.lines), 2600)
    served = serve(system, line, write, wanted=2000, pure=not numba_installed())
    bound = 4 * 32 / 15e-9 / device.peak  # tFAW 15 ns
    assert bound * 0.97 < measure(served, 200, 1700).fraction <= bound * 1.004  # a window at each end


def test_a_stream_keeps_the_bus_busy_but_for_the_first_row() -> None:
    device = channel("hbm4", whole=False)
    system = MemorySystem(
        device, interleaved_mapping(device.organisation), SharedQueueController(64, refresh="off")
    )
    line, write = generate(PatternSpec("seq", lines=system.mapping.lines), 2600)
    served = serve(system, line, write, wanted=2000, pure=not numba_installed())
    assert measure(served, 200, 1700).fraction > 0.985


def test_a_controller_with_a_queue_per_bank_refuses_two_pseudo_channels() -> None:
    device = channel("hbm3")
    with pytest.raises(UserError, match="one pseudo-channel"):
        MemorySystem(device, interleaved_mapping(device.organisation), BankQueueController(32, 8), name="x")
