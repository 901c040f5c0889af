# SPDX-License-Identifier: Apache-2.0
# Copyright the vfio4j authors
#
# What `vfio check --as qemu` prints, given to QEMU as a reader would: everything but the devices
# starts; each device is refused only because this machine has not got it, or its group's file.
# shellcheck source=../bench.bash
source "$here/bench.bash"

root=$(dirname "$here")
hosts=$root/examples/hosts
requests=$work/requests
mkdir -p "$requests"

# request NAME HOST TEXT: beside those of the repository, one for what these do not have.
request() {
  printf 'host: %s/%s\nvms:\n%s\n' "$hosts" "$2" "$3" >"$requests/$1.yaml"
}

request nics two-nics.json '  "my, VM": {memory: 3.5GiB, memlock: 5GiB, devices: [0000:01:00.0, 0000:01:00.1]}'
request viommu two-nics.json '  web: {memory: 2GiB, viommu: true, devices: []}'
request token two-nics.json '  web: {memory: 1GiB, devices: [0000:01:00.0, {device: 0000:01:00.1, vf_token: 83b8f4f2-509f-382f-3c1e-e6bfe0fa1001}]}'
request mdev vgpu-server.json '  desk: {memory: 16GiB, devices: [{mdev: f715f63c-0d00-4007-9c5a-b07b0c6c05de}, 0000:04:00.0]}'
request disk vgpu-server.json '  web: {memory: 8GiB, devices: [0000:05:00.0]}'

missing='no such host device|no iommu_group found|[Ff]ailed to open .*/dev/vfio|Could not open .*/dev/vfio'

# qemu ARGUMENT...: starts it, has it quit at once, and gives back what it says.
qemu() {
  echo quit | timeout 120 "$here/qemu" -S -display none -serial none -parallel none \
    -monitor stdio "$@" 2>&1
}

# block NAME TEXT: one VM as it was printed.
block() {
  local name=$1 text said status=0 i
  text=$(grep -v '^#' <<<"$2" | sed 's/\\$//')
  local -a all=() plain=() devices=()
  eval "all=( $(tr '\n' ' ' <<<"$text") )"
  for ((i = 0; i < ${#all[@]}; i++)); do
    if [[ ${all[i]} == -device && ${all[i + 1]} == vfio-pci,* ]]; then
      devices+=("${all[++i]}")
    else
      plain+=("${all[i]}")
    fi
  done
  said=$(qemu "${plain[@]}") || status=$?
  # How much RAM this machine has is no question of the arguments.
  if grep -q "cannot set up guest memory" <<<"$said"; then
    note "arguments: $name wants more RAM than this machine gives"
    return
  fi
  [[ $status == 0 ]] || { echo "$said"; fail "$name: QEMU refuses ${plain[*]}"; return; }
  started=$((started + 1))
  for device in ${devices[@]+"${devices[@]}"}; do
    said=$(qemu "${plain[@]}" -device "$device") && status=0 || status=$?
    if [[ $status == 0 ]] || ! grep -qE "$missing" <<<"$said"; then
      echo "$said"
      fail "$name: QEMU says something else of $device"
      return
    fi
    opened=$((opened + 1))
  done
}

started=0
opened=0
for file in "$root"/examples/tour.yaml "$root"/examples/matrix/*.yaml "$requests"/*.yaml; do
  name=$(basename "$file" .yaml)
  "$root/vfio" check "$file" --as qemu >"$work/$name.args" 2>"$work/$name.err" || {
    # A request that is refused has nothing to be started with.
    [[ $? == 1 ]] && continue
    tail_of "$work/$name.err" "what vfio says"
    fail "$name: vfio check ended with an error"
  }
  awk -v RS= -v folder="$work/$name" '{ print >(folder "." NR ".vm") }' "$work/$name.args"
  for vm in "$work/$name".*.vm; do
    [[ -s $vm ]] && block "$name" "$(<"$vm")"
  done
done
note "arguments: $started VMs started without their devices, $opened devices refused for want of them"
((started >= 5 && opened >= 8)) || fail "too few to say anything"
