"""QEMU, one process for each guest: what `andromede.compute.engine.Hypervisor` asks, done over QMP."""
