# SPDX-License-Identifier: Apache-2.0
"""Trees of sysfs files as boards show them."""

from __future__ import annotations

from pathlib import Path

POWERCAP = "sys/class/powercap"


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")
    return root


def rapl_domain(directory: str, name: str, microjoules: int, greatest: int = 262143328850) -> dict[str, str]:
    return {
        f"{POWERCAP}/{directory}/name": name,
        f"{POWERCAP}/{directory}/energy_uj": str(microjoules),
        f"{POWERCAP}/{directory}/max_energy_range_uj": str(greatest),
    }


TWO_SOCKETS = {
    **rapl_domain("intel-rapl:0", "package-0", 1_000_000),
    **rapl_domain("intel-rapl:0:0", "core", 500_000),
    **rapl_domain("intel-rapl:0:1", "dram", 100_000, 65712999613),
    **rapl_domain("intel-rapl:1", "package-1", 2_000_000),
    **rapl_domain("intel-rapl:1:0", "core", 700_000),
    **rapl_domain("intel-rapl:1:1", "dram", 200_000, 65712999613),
    **rapl_domain("intel-rapl:2", "psys", 9_000_000),
    **rapl_domain("intel-rapl-mmio:0", "package-0", 1_000_000),
}

ORIN_NANO = {
    "sys/class/hwmon/hwmon0/name": "soc_thermal",
    "sys/class/hwmon/hwmon3/name": "ina3221",
    "sys/class/hwmon/hwmon3/in1_label": "VDD_IN",
    "sys/class/hwmon/hwmon3/in1_input": "5072",
    "sys/class/hwmon/hwmon3/curr1_input": "1200",
    "sys/class/hwmon/hwmon3/in2_label": "VDD_CPU_GPU_CV",
    "sys/class/hwmon/hwmon3/in2_input": "5064",
    "sys/class/hwmon/hwmon3/curr2_input": "320",
    "sys/class/hwmon/hwmon3/in3_label": "VDD_SOC",
    "sys/class/hwmon/hwmon3/in3_input": "5064",
    "sys/class/hwmon/hwmon3/curr3_input": "280",
    "sys/class/hwmon/hwmon3/in4_input": "6",
    "sys/class/hwmon/hwmon3/in5_input": "2",
    "sys/class/hwmon/hwmon3/in6_input": "1",
    "sys/class/hwmon/hwmon3/in7_label": "sum of shunt voltages",
    "sys/class/hwmon/hwmon3/in7_input": "9",
    "sys/class/hwmon/hwmon3/curr4_input": "1800",
}


def _ina3221(number: int, **rails: tuple[int, int]) -> dict[str, str]:
    """A chip: millivolts and milliamperes by label."""
    directory = f"sys/class/hwmon/hwmon{number}"
    files = {f"{directory}/name": "ina3221"}
    for channel, (label, (millivolts, milliamperes)) in enumerate(rails.items(), 1):
        files[f"{directory}/in{channel}_label"] = label
        files[f"{directory}/in{channel}_input"] = str(millivolts)
        files[f"{directory}/curr{channel}_input"] = str(milliamperes)
    return files


AGX_ORIN = {
    **_ina3221(3, VDD_GPU_SOC=(19000, 200), VDD_CPU_CV=(19000, 100), VIN_SYS_5V0=(5000, 800)),
    **_ina3221(4, VDDQ_VDD2_1V8AO=(5000, 100), VDD_OTHER=(5000, 50)),
}
"""Two chips, as on the board; the last rail is made up."""

PMIC = """
   3V7_WL_SW_A current(0)=0.08392960A
   3V3_SYS_A current(1)=0.05367336A
   VDD_CORE_A current(7)=1.67590000A
   3V7_WL_SW_V volt(8)=3.71461000V
   3V3_SYS_V volt(9)=3.31440400V
   VDD_CORE_V volt(15)=0.72045030V
   EXT5V_V volt(24)=5.15200000V
   BATT_V volt(25)=0.00000000V
"""


def battery(status: str = "Discharging", **files: str) -> dict[str, str]:
    values = {"type": "Battery", "status": status, "current_now": "-512000", "voltage_now": "3900000", **files}
    return {f"sys/class/power_supply/battery/{name}": value for name, value in values.items()}
