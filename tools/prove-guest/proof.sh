#!/usr/bin/env bash
# Runs in the guest of tools/prove-guest.sh at each boot, as its user dev, in dev's clone: what users are promised, on such a machine.
# Time-outs are those of an emulated machine; that nothing takes longer than it should is for benchmarks to say.
set -euo pipefail
stage_file=$HOME/proof-stage
stage=$(cat "$stage_file" 2>/dev/null || echo first)
started=$SECONDS

say() { printf 'proof: [%s +%ds] %s\n' "$stage" $((SECONDS - started)) "$*"; }
fail() {
  say "FAILED: $*"
  exit 1
}
# At the end, whatever it is, the guest goes off; across a reboot the proof goes on.
at_exit() {
  local code=$?
  [ "${rebooting:-}" = yes ] && return
  if [ "$code" != 0 ]; then
    set +e
    ./skerry status
    kube get events
    kube get pods -o 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].lastState}{"\n"}{end}'
    sudo systemctl --no-pager --full status 'skerry*'
    sudo tail -n 20 /var/log/skerry/*.log
    sudo journalctl --no-pager -n 200 -o short-monotonic | grep -vE ' (sudo|kernel)' | tail -60
  fi 2>&1
  echo "proof: ended with $code"
  sudo systemctl poweroff --no-block
}
trap at_exit EXIT
trap 'say "FAILED at line $LINENO: $BASH_COMMAND"' ERR

reboot_into() {
  echo "$1" >"$stage_file"
  say "rebooting"
  rebooting=yes
  sudo systemctl reboot --no-block
  exit 0
}

# eventually SECONDS COMMAND…: until it succeeds.
eventually() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || { "$@" || true; fail "in vain: $*"; }
    sleep 1
  done
}
same() { [ "$2" = "$3" ] || fail "$1: not \"$2\" but \"$3\""; }

# The one that ./skerry kubectl runs, without two Nodes around it each time.
kubectl=tools/kubectl/bin/1.35/kubectl
[ "$(uname -m)" = x86_64 ] || kubectl=kubectl
kube() { KUBECONFIG=/etc/skerry/kubeconfig "$kubectl" "$@"; }
is_active() { systemctl is-active -q "$1"; }
property() { systemctl show -P "$2" "$1"; }
status_is_good() { ./skerry status; }
main_pid() { property "$1" MainPID; }
container_ids() { kube get pods -o 'jsonpath={range .items[*]}{.status.containerStatuses[*].containerID}{"\n"}{end}' | sort; }
# Whether each container was restarted so many times, as what was done to the machine calls for: one more is one that nobody asked for.
restarted() { [ "$(kube get pods -o 'jsonpath={range .items[*]}{.status.containerStatuses[*].restartCount}{"\n"}{end}' | sort -u)" = "$1" ]; }
# All processes of pods, each with the time of its start.
pod_processes() {
  local pid
  for pid in $(cat /sys/fs/cgroup/skerry*.slice/skerry*-pod*.slice/cri-containerd-*.scope/cgroup.procs 2>/dev/null | sort -n); do
    echo "$(cat "/proc/$pid/comm") $pid $(awk '{ print $22 }' "/proc/$pid/stat")"
  done
}
# How many processes of that name pods have.
count() { pod_processes | grep -c "^$1 " || true; }
# The program of the sample and that of the limited pod: two and one of them.
pods_run() { [ "$(count httpd) $(count sleep)" = "2 1" ]; }
# Whether the limits of a pod are the kernel's, for the pod and for its container.
limits_are_set() {
  local scope slice
  scope=/sys/fs/cgroup$(sed -n 's/^0:://p' "/proc/$(pod_processes | awk '$1 == "sleep" { print $2 }')/cgroup")
  slice=$(dirname "$scope")
  case $slice in /sys/fs/cgroup/skerry*.slice/skerry*-pod*.slice) ;; *) fail "the container is in $scope" ;; esac
  same "cpu.max of the container" "20000 100000" "$(cat "$scope/cpu.max")"
  same "memory.max of the container" 67108864 "$(cat "$scope/memory.max")"
  same "cpu.max of the pod" "20000 100000" "$(cat "$slice/cpu.max")"
  same "memory.max of the pod" 67108864 "$(cat "$slice/memory.max")"
}
# Of what is there, all that may be ours, or is there because of us.
world() {
  local ours='skerry|cri-containerd|containerd'
  echo "units:"
  systemctl list-units --all --plain --no-legend | awk '{ print $1 }' | grep -E "$ours" | sort || true
  echo "files:"
  sudo find /etc/systemd /run/systemd -regextype egrep -regex ".*($ours).*" | sort
  sudo find /var/lib/skerry /etc/skerry /run/skerry* /var/log/skerry 2>/dev/null | sort || true
  sudo find /run/containerd ! -type d 2>/dev/null | sort || true
  echo "cgroups:"
  find /sys/fs/cgroup -type d -regextype egrep -regex ".*($ours).*" | sort
  echo "mounts:"
  awk '{ print $2 }' /proc/mounts | grep -vE '^/(run/user|run/credentials|proc/sys/fs/binfmt_misc)' | sort
  echo "links and namespaces:"
  ip -br link | awk '{ print $1 }' | sort
  sudo ls /run/netns 2>/dev/null || true
  sudo lsns -t net -n -o NS | sort
  echo "processes:"
  ps -eo args= | grep -E 'containerd|skerry' | grep -vE 'grep|proof' || true
  echo "rules:"
  for save in iptables-save ip6tables-save; do
    if [ -x /usr/sbin/$save ]; then sudo /usr/sbin/$save | grep -E '^(-A|:.* - )' || true; fi
  done
}

owners_are_kept() {
  local foreign
  foreign=$(sudo find "$HOME" ! -user dev)
  same "files in dev's home that are not dev's" "" "$foreign"
}

first() {
  same "process 1" systemd "$(cat /proc/1/comm)"
  same "file system of cgroups" cgroup2fs "$(stat -fc %T /sys/fs/cgroup)"
  same "user" dev "$(id -un)"
  ! command -v containerd || fail "containerd is there already"
  world >"$HOME/world-before"

  say "up, as user dev"
  ./skerry up 2>&1 | tee "$HOME/up.log"
  grep -q "'up' needs root; running it through sudo" "$HOME/up.log" || fail "up does not say that it uses sudo"
  grep -q "Installing with apt-get" "$HOME/up.log" || fail "up does not say that it installs"
  owners_are_kept

  say "units"
  local unit
  for unit in skerry-cloud skerry-edge skerry-containerd; do is_active $unit || fail "$unit is not active"; done
  for unit in skerry-cloud skerry-edge; do systemctl is-enabled -q $unit || fail "$unit is not enabled"; done
  for unit in skerry-edge skerry-containerd; do same "Delegate of $unit" yes "$(property $unit Delegate)"; done
  for unit in skerry-edge skerry-containerd; do same "KillMode of $unit" process "$(property $unit KillMode)"; done
  same "cgroup of containerd" /system.slice/skerry-containerd.service "$(sed -n 's/^0:://p' "/proc/$(pgrep -x containerd)/cgroup")"
  same "main process of skerry-containerd" "$(pgrep -x containerd)" "$(main_pid skerry-containerd)"
  same "apt's containerd.service, which up installed" "inactive disabled" "$(systemctl is-active containerd) $(systemctl is-enabled containerd)"
  same "failed units" "" "$(systemctl list-units --failed --plain --no-legend)"

  say "node, sample, logs, status, check"
  kube wait --for=condition=Ready node/gateway-7 --timeout=300s
  kube wait --for=condition=Available deployment/hello --timeout=300s
  same "who says hello" "hello hello" "$(kube logs -l app=hello | grep -o '^hello' | paste -sd ' ')"
  ./skerry kubectl get pods -o wide
  ./skerry status
  ./skerry check
  [ -r "$(./skerry kubeconfig)" ] || fail "dev cannot read the kubeconfig"
  same "mode of the kubeconfig" "dev 600" "$(stat -c '%U %a' "$(./skerry kubeconfig)")"

  local name
  for name in cloud edge containerd; do
    ./skerry logs $name >"$HOME/log"
    grep -qE '"level":"info"|level=info' "$HOME/log" || fail "there is nothing in the log of $name"
  done

  say "limits"
  kube apply -f - <<'YAML'
apiVersion: v1
kind: Pod
metadata: { name: limited }
spec:
  terminationGracePeriodSeconds: 2
  containers:
    - name: main
      image: skerry.local/hello:1
      command: [/bin/sleep, "1000000"]
      resources: { limits: { cpu: 200m, memory: 64Mi } }
---
apiVersion: v1
kind: Pod
metadata: { name: greedy }
spec:
  restartPolicy: Never
  containers:
    - name: main
      image: skerry.local/hello:1
      command: [/bin/busybox, dd, if=/dev/zero, of=/dev/null, bs=256M, count=1]
      resources: { limits: { memory: 16Mi } }
YAML
  kube wait --for=condition=Ready pod/limited --timeout=300s
  limits_are_set
  kube wait --for=jsonpath='{.status.phase}'=Failed pod/greedy --timeout=300s
  same "end of the greedy one" "OOMKilled 137" "$(kube get pod greedy -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}')"
  kube delete pod greedy
  eventually 60 pods_run

  local ids processes agent containerd
  ids=$(container_ids)
  processes=$(pod_processes)
  say "the agent is killed"
  agent=$(main_pid skerry-edge)
  ./skerry edge kill
  same "processes of pods" "$processes" "$(pod_processes)"
  agent_is_back() { is_active skerry-edge && [ "$(main_pid skerry-edge)" != "$agent" ] && status_is_good; }
  eventually 300 agent_is_back
  same "containers" "$ids" "$(container_ids)"
  same "processes of pods" "$processes" "$(pod_processes)"

  say "containerd is killed"
  containerd=$(main_pid skerry-containerd)
  sudo kill -9 "$containerd"
  containerd_is_back() { is_active skerry-containerd && [ "$(main_pid skerry-containerd)" != "$containerd" ] && status_is_good; }
  eventually 300 containerd_is_back
  same "containers" "$ids" "$(container_ids)"
  same "processes of pods" "$processes" "$(pod_processes)"
  kube scale deployment hello --replicas=3
  kube rollout status deployment hello --timeout=300s
  kube scale deployment hello --replicas=2
  eventually 300 pods_run
  owners_are_kept
  reboot_into rebooted
}

rebooted() {
  say "units, without anybody doing anything"
  eventually 600 pods_run
  limits_are_set
  local unit
  for unit in skerry-cloud skerry-edge skerry-containerd; do is_active $unit || fail "$unit is not active"; done
  eventually 300 status_is_good
  kube get pods -o wide
  kube wait --for=condition=Available deployment/hello --timeout=300s
  eventually 60 restarted 1
  sudo systemctl disable -q skerry-cloud
  reboot_into offline
}

offline() {
  say "pods, without the cloud"
  eventually 600 pods_run
  limits_are_set
  ! is_active skerry-cloud || fail "the cloud runs"
  local processes
  processes=$(pod_processes)
  say "the cloud comes back"
  ./skerry cloud start
  systemctl is-enabled -q skerry-cloud || fail "the cloud is not enabled"
  eventually 300 status_is_good
  kube wait --for=condition=Available deployment/hello --timeout=300s
  same "processes of pods" "$processes" "$(pod_processes)"
  eventually 60 restarted 2

  say "down and up"
  ./skerry down
  same "processes of pods" "" "$(pod_processes)"
  ./skerry up
  eventually 300 pods_run
  kube wait --for=condition=Ready pod/limited --timeout=300s
  limits_are_set
  eventually 60 restarted 3
  ./skerry status

  say "down -v"
  ./skerry down -v
  world >"$HOME/world-after"
  diff "$HOME/world-before" "$HOME/world-after" || fail "something is left"
  same "failed units" "" "$(systemctl list-units --failed --plain --no-legend)"
  owners_are_kept
  say "all is as promised"
}

say "boot: $(uname -r), systemd $(systemctl --version | awk 'NR == 1 { print $2 }'), $(nproc) processors"
"$stage"
