"""What bandwidth is lost to, by the names the model uses and in words; sim.dram.losses tells them apart."""

CAUSES: dict[str, str] = {
    "refresh": "refresh",
    "turnaround": "read/write turnaround",
    "row_conflict": "row conflicts",
    "act_rate": "activation rate (tRRD, tFAW)",
    "bank_group": "bank group (tCCD_L)",
    "empty": "queue empty",
    "command_bus": "command slots and order",
}
