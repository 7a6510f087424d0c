"""Names of resource classes and traits: the standard ones that mean something here, and the operator's own, which begin
with CUSTOM_."""

from __future__ import annotations

import re

from andromede.errors import Invalid

CLASSES = (
    "VCPU", "MEMORY_MB", "DISK_GB", "PCI_DEVICE", "SRIOV_NET_VF", "NUMA_SOCKET", "NUMA_CORE", "NUMA_THREAD",
    "NUMA_MEMORY_MB", "IPV4_ADDRESS", "VGPU", "VGPU_DISPLAY_HEAD", "NET_BW_EGR_KILOBIT_PER_SEC",
    "NET_BW_IGR_KILOBIT_PER_SEC", "PCPU", "MEM_ENCRYPTION_CONTEXT", "FPGA", "PGPU",
    "NET_PACKET_RATE_KILOPACKET_PER_SEC", "NET_PACKET_RATE_EGR_KILOPACKET_PER_SEC",
    "NET_PACKET_RATE_IGR_KILOPACKET_PER_SEC",
)  # fmt: skip
TRAITS = (
    "COMPUTE_ACCELERATORS", "COMPUTE_CONFIG_DRIVE_REGENERATION", "COMPUTE_DEVICE_TAGGING",
    "COMPUTE_GRAPHICS_MODEL_VGA", "COMPUTE_IMAGE_TYPE_ISO", "COMPUTE_IMAGE_TYPE_QCOW2", "COMPUTE_IMAGE_TYPE_RAW",
    "COMPUTE_MANAGED_PCI_DEVICE", "COMPUTE_NET_ATTACH_INTERFACE", "COMPUTE_NET_VIF_MODEL_VIRTIO", "COMPUTE_NODE",
    "COMPUTE_RESCUE_BFV", "COMPUTE_SECURITY_TPM_2_0", "COMPUTE_SECURITY_UEFI_SECURE_BOOT",
    "COMPUTE_STATUS_DISABLED", "COMPUTE_STORAGE_BUS_SCSI", "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_TRUSTED_CERTS",
    "COMPUTE_VOLUME_ATTACH_WITH_TAG", "COMPUTE_VOLUME_EXTEND", "COMPUTE_VOLUME_MULTI_ATTACH",
    "HW_ARCH_AARCH64", "HW_ARCH_X86_64", "HW_CPU_HYPERTHREADING", "HW_CPU_X86_AESNI", "HW_CPU_X86_AVX",
    "HW_CPU_X86_AVX2", "HW_CPU_X86_AVX512F", "HW_CPU_X86_SSE42", "HW_CPU_X86_SVM", "HW_CPU_X86_VMX",
    "MISC_SHARES_VIA_AGGREGATE", "STORAGE_DISK_HDD", "STORAGE_DISK_SSD",
)  # fmt: skip
_CUSTOM = re.compile(r"CUSTOM_[A-Z0-9_]{1,248}")


def is_custom(name: str) -> bool:
    """Whether a name may be the operator's own."""
    return _CUSTOM.fullmatch(name) is not None


def custom(kind: str, name: str) -> str:
    """The name, or `Invalid` when it may not be made."""
    if not is_custom(name):
        raise Invalid(f"{kind} {name!r} must begin with CUSTOM_, of A to Z, digits and _; standard ones stay", "name")
    return name
