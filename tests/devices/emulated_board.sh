# SPDX-License-Identifier: Apache-2.0
# Makes its namespaces a board and becomes its sshd. $1: root directory, $2: emulator, $3: sshd's files, $4: /root, the disk.
set -eu
root=$1 emulator=$2 files=$3 disk=$4

mount --make-rprivate /
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc # this user namespace's own: the host's stays as it is
magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
# F: the emulator is opened now, so that it is found from within the root directory. C, O: as binfmt's packages have it.
printf '%s' ":edgeq:M::$magic:$mask:$emulator:FOC" > /proc/sys/fs/binfmt_misc/register

mkdir -p "$root/dev" "$root/root" "$root/run" "$root/tmp"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir "$root/run/sshd" "$root/run/board"
cp "$root/proc/cpuinfo" "$root/run/cpuinfo"
mount -t proc proc "$root/proc"
mount --bind "$root/run/cpuinfo" "$root/proc/cpuinfo"
mount --rbind /dev "$root/dev"
mount --bind "$disk" "$root/root"
mount --bind "$files" "$root/run/board"
chmod 600 "$files/host"
exec chroot "$root" /usr/sbin/sshd -D -e -f /run/board/server -o SetEnv=QEMU_CPU=max
