#!/usr/bin/env bash
# Submits the job script that `diffem slurm` prints to a real Slurm of two nodes on this machine's loopback, lets its time
# limit end the job twice, and compares the files of the run with those of one process.
#
#     native/tests/slurm/run.sh DIFFEM        a build with --features mpi
#
# Needs root, and installs Debian's packages of Slurm where there are none; otherwise it says that it is skipped. It stops what
# it started and takes two to four minutes.
set -euo pipefail

skip() {
    echo "Slurm: skipped, $1"
    exit 0
}

diffem=$(realpath "${1:?the program}")
[ "$(id -u)" = 0 ] || skip "not root"
if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
    command -v apt-get >/dev/null || skip "there is no Slurm and no apt-get"
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; } \
        >/dev/null 2>&1 || skip "Slurm cannot be installed"
fi

work=$(mktemp -d)
started=()
finish() {
    local pid
    scancel --me 2>/dev/null || true
    sleep 1
    for pid in "${started[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "Slurm: $1" >&2
    tail -n 30 "$work"/*.log >&2 || true
    exit 1
}

# Authentication with a key and a socket of its own.
mkdir -p "$work"/{state,munge,spool-n1,spool-n2,tmp-n1,tmp-n2}
chmod 755 "$work"
dd if=/dev/urandom of="$work/munge/key" bs=1024 count=1 status=none
chmod 400 "$work/munge/key"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" \
    --log-file="$work/munge/munged.log" --seed-file="$work/munge/seed" >"$work/munged.log" 2>&1 &
started+=($!)

export SLURM_CONF=$work/slurm.conf
host=$(hostname -s)
cat >"$SLURM_CONF" <<END
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
AuthInfo=socket=$work/munge/socket,cred_expire=10
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool-%n
TmpFS=$work/tmp-%n
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd-%n.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,bf_interval=5
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ReturnToService=2
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=17001 CPUs=1
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=17002 CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
for _ in $(seq 50); do
    [ ! -S "$work/munge/socket" ] || break
    sleep 0.1
done
slurmctld -D -c >/dev/null 2>&1 &
started+=($!)
for node in n1 n2; do
    slurmd -D -N "$node" >/dev/null 2>&1 &
    started+=($!)
done
for _ in $(seq 30); do
    [ "$(sinfo -h -t idle -o %D 2>/dev/null)" != 2 ] || break
    sleep 1
done
[ "$(sinfo -h -t idle -o %D)" = 2 ] || fail "the nodes do not come up"

cd "$work"
cat >run.toml <<END
name = "slurm"
data = { kind = "gaussian", n = 512, std = [1.0, 0.5], correlation = 0.3 }
channel = [{ kind = "projection", rows = 1 }, { kind = "noise", std = 0.3 }]
em = { laps = 12 }
network = { kind = "mlp", width = 128, depth = 3, embedding = 8 }
m_step = { steps = 300, batch = 256, micro_batch = 64 }
e_step = { shard = 32, sampler = { kind = "ddpm", steps = 60 } }
monitor = { points = 64 }
report = { points = 64, draws = 4 }
END
began=$SECONDS
"$diffem" train run.toml --out alone --threads 1 --progress quiet
echo "one process: $((SECONDS - began)) s"

# Slurm's limits are whole minutes; the signal comes 50 s before their end.
"$diffem" slurm run --config run.toml --ranks 2 --cpus-per-task 1 --time 1 --margin 50 >job.sh
# The nodes are one machine, whose addresses are those of the loopback.
export OMPI_MCA_btl_tcp_if_include=lo OMPI_MCA_btl=self,tcp PMIX_MCA_gds=hash
began=$SECONDS
job=$(sbatch --parsable --output=job.log job.sh)
preempted() { grep -c 'continue with `diffem resume' job.log 2>/dev/null || true; }
limit=1
while [ ! -f run/summary.json ] && [ $((SECONDS - began)) -lt 420 ]; do
    sleep 1
    case $(squeue -h -j "$job" -o %T 2>/dev/null) in
    "" | FAILED | CANCELLED | TIMEOUT) break ;;
    esac
    # After the second time the job may end.
    if [ "$limit" = 1 ] && [ "$(preempted)" -ge 2 ] && scontrol update jobid="$job" timelimit=30 2>/dev/null; then
        limit=30
    fi
done
for _ in $(seq 20); do
    [ -n "$(squeue -h -j "$job" -o %T 2>/dev/null)" ] || break
    sleep 1
done
[ -f run/summary.json ] || fail "the job did not finish the run"
[ "$(preempted)" = 2 ] || fail "the job was ended $(preempted) times, expected 2"
for lap in alone/lap-*; do
    diff -r "$lap" "run/${lap#alone/}" || fail "the run differs from that of one process"
done
echo "Slurm: a job of 2 ranks on 2 nodes was ended twice, queued again, and wrote the bytes of one process ($((SECONDS - began)) s)"
