"""Guest images built on this machine from Debian packages, without loop devices, mounts or a boot loader of root's."""
