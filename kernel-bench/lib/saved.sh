# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# The VM within the guest, booted here and saved: there, where each instruction is emulated twice, its
# boot takes four minutes. It is saved with empty ports, and devices are plugged in when it goes on.

# The ports of the saved VM: as many as a suite plugs devices into.
inner_ports=5

# What `vfio up` prints for a VM of 256 MiB, less the devices.
inner_machine() {
  local n
  printf '%s\n' -machine q35,memory-backend=mem \
    -object memory-backend-memfd,id=mem,size=256M,share=on,prealloc=on
  for ((n = 0; n < inner_ports; n++)); do
    printf '%s\n' -device "pcie-root-port,id=vfio$n-port,chassis=$((100 + n)),slot=$((100 + n))"
  done
}

# What such a VM has besides. Its console is standard input and output.
inner_rest() {
  printf '%s\n' -accel tcg -cpu max,erms=off,fsrm=off -nodefaults -display none -smp 1 \
    -kernel "$1/vmlinux" -initrd "$1/initramfs" -chardev stdio,id=console -serial chardev:console -append \
    "console=ttyS0 quiet lsm= rodata=off panic=-1 nokaslr nowatchdog no_timer_check tsc=reliable mitigations=off init_on_alloc=0 apparmor=0 rdinit=/init"
}

# The files of the VM: the guest's kernel, and an initramfs with modules and our programs.
inner_files() {
  local folder=$1 tree=$1/tree module number=10
  mkdir -p "$tree"/{bin,dev,modules,proc,sys,tmp}
  cp "$(command -v busybox)" "$tree/bin/busybox"
  cp "$bench/guest/inner/init" "$tree/init"
  chmod 755 "$tree/init"
  gcc -std=gnu17 -O1 -static -o "$tree/bin/edu" "$root/vm-bench/guest/edu.c"
  gcc -std=gnu17 -O1 -static -o "$tree/bin/registers" "$bench/guest/inner/registers.c"
  while read -r module; do
    unpacked "$module" >"$tree/modules/$((number++))-$(basename "${module%%.ko*}").ko"
  done < <(for module in nvme e1000e; do modprobe -d "$home" -S "$release" --show-depends "$module"; done |
    awk '$1 == "insmod" && !seen[$2]++ { print $2 }')
  (cd "$tree" && find . | cpio -o -H newc --quiet) >"$folder/initramfs"
  rm -rf "$tree"
  ln "$home/vmlinux" "$folder/vmlinux"
}

# Boots it until its first process waits for words, and keeps its state.
inner_state() {
  local folder=$1 machine vm deadline=$((SECONDS + 120))
  mapfile -t machine < <(inner_machine; inner_rest "$folder"; qmp_arguments "$folder/qmp")
  qmp_pipes "$folder/qmp"
  mkfifo "$folder/words"
  "$root/vm-bench/qemu" "${machine[@]}" <>"$folder/words" >"$folder/console" 2>&1 7>&- 8>&- &
  vm=$!
  until grep -q "inner: up" "$folder/console"; do
    kill -0 $vm 2>/dev/null && ((SECONDS < deadline)) || {
      tail -n 20 "$folder/console"
      die "the VM within the guest does not boot"
    }
    sleep 0.1
  done
  qmp_begin
  qmp stop
  qmp migrate "{\"uri\": \"file:$folder/state\"}"
  qmp_await '"status": "completed"' 60 || die "the VM within the guest cannot be saved"
  qmp quit
  wait $vm
  qmp_end
  rm "$folder"/{qmp.in,qmp.out,qmp.log,words,console}
}

# Sets $inner to the folder of the saved VM.
save_inner() {
  local key
  unpack_kernel
  key=$(cat "$bench"/guest/inner/* "$bench"/lib/{saved,qmp}.sh "$root"/vm-bench/{fetch,guest/edu.c} \
    "$home/manifest" | sha256sum | cut -c 1-16)
  inner=$home/inner-$key
  [[ ! -d $inner ]] || return 0
  command -v gcc >/dev/null || die "needs gcc and libc6-dev for the programs of the VM within the guest"
  find "$home" -maxdepth 1 -name 'inner-*' -mmin +1440 -exec rm -rf {} +
  rm -rf "$inner.new"
  mkdir "$inner.new"
  inner_files "$inner.new"
  inner_state "$inner.new"
  chmod -R a+rX "$inner.new"
  mv "$inner.new" "$inner"
}
