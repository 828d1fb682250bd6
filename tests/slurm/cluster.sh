#!/usr/bin/env bash
# cluster.sh - a private, self-contained Slurm cluster on ONE host for tests and CI.
#
#   apt-get install -y --no-install-recommends slurmctld slurmd slurm-client munge \
#       slurm-wlm-basic-plugins                                   # always
#   apt-get install -y --no-install-recommends slurmdbd slurm-wlm-mysql-plugin \
#       mariadb-server-core                                       # only for SLURM_UP_ACCT=1
#
#   cluster.sh start    # idempotent; prints where the env file is
#   . "$SLURM_UP_ROOT/env"   (exports SLURM_CONF; then sbatch/srun/sacct/submitit just work)
#   cluster.sh stop     # stops exactly the daemons it started, by pid file
#   cluster.sh status | purge
#
# Everything lives under $SLURM_UP_ROOT with its own munge key/socket, ports and
# SLURM_CONF, so it can sit beside a real or another Slurm on the same machine.
# Several fake nodes = several slurmd on one host (Debian's build has
# --enable-multiple-slurmd).  Fake GPUs = gres.conf with File= on symlinks to /dev/null:
# --gres=gpu:1 / --gpus-per-node=1 are accepted, counted, and CUDA_VISIBLE_DEVICES is set.
set -euo pipefail

ROOT=${SLURM_UP_ROOT:-/tmp/reedbench-slurm}
NODES=${SLURM_UP_NODES:-2}          # how many fake nodes
CPUS=${SLURM_UP_CPUS:-4}            # CPUs claimed by each fake node (may exceed the real ones)
MEM=${SLURM_UP_MEM:-20000}           # MB claimed by each fake node
GPUS=${SLURM_UP_GPUS:-2}            # fake GPUs on each node
ACCT=${SLURM_UP_ACCT:-0}            # 1: mariadb + slurmdbd so that sacct works; 0: no accounting
PORT=${SLURM_UP_PORT:-18300}        # TCP ports PORT..PORT+2 and PORT+11.. (one per node)
WAIT=${SLURM_UP_WAIT:-120}          # seconds any single wait may last
CLUSTER=${SLURM_UP_CLUSTER:-ci}
HOST=$(hostname -s 2>/dev/null || hostname)
ETC=$ROOT/etc; RUN=$ROOT/run; LOG=$ROOT/log
P_CTLD=$PORT; P_DBD=$((PORT+1)); P_SQL=$((PORT+2)); P_NODE=$((PORT+10))
export SLURM_CONF=$ETC/slurm.conf
PATH=$PATH:/usr/sbin:/sbin

die()   { echo "cluster: $*" >&2; tail -n 15 "$LOG"/*.log >&2 2>/dev/null || true; exit 1; }
say()   { echo "cluster: $*"; }
# alive PIDFILE NAME: the pid in PIDFILE runs a program called NAME (guards against pid reuse) and is
# no zombie (a container without an init never reaps the daemons it adopts)
alive() { local p st; p=$(cat "$1" 2>/dev/null) || return 1; [ -n "$p" ] || return 1
          [ "$(cat "/proc/$p/comm" 2>/dev/null)" = "$2" ] || return 1
          st=$(cut -d' ' -f3 "/proc/$p/stat" 2>/dev/null) || return 1; [ "$st" != Z ] && [ "$st" != X ]; }
# until_ok WHAT CMD...: bounded wait
until_ok() { local what=$1 end=$((SECONDS+WAIT)); shift
             until "$@" >/dev/null 2>&1; do
               [ $SECONDS -lt $end ] || die "gave up waiting for $what after ${WAIT}s"; sleep 0.1
             done; }
stop_one() { local pf=$1 name=$2 sig=${3:-TERM} p
             alive "$pf" "$name" || { rm -f "$pf"; return 0; }
             p=$(cat "$pf"); kill -"$sig" "$p" 2>/dev/null || true
             for _ in $(seq 100); do     # the daemon removes its own pid file before it is gone
               echo "$p" > "$pf.stop"; alive "$pf.stop" "$name" || break; sleep 0.1
             done
             if alive "$pf.stop" "$name"; then kill -KILL "$p" 2>/dev/null || true; fi
             rm -f "$pf" "$pf.stop"; }
need_port() { ! tcp_open "$1" || die "port $1 is taken (another cluster?): choose SLURM_UP_PORT"; }
tcp_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

write_config() {
  mkdir -p "$ETC" "$RUN" "$LOG" "$ROOT/state" "$ROOT/spool" "$ROOT/gpu"
  chmod 0755 "$ROOT" "$ETC" "$RUN"; chmod 0700 "$LOG" "$ROOT/state"
  if [ ! -s "$ETC/munge.key" ]; then
    (umask 077; dd if=/dev/urandom of="$ETC/munge.key" bs=1024 count=1 status=none)
  fi
  local i list="" acct me; me=$(id -un)
  if [ "$ACCT" = 1 ]; then
    acct="AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=$P_DBD
AccountingStoragePass=$RUN/munge.socket
AccountingStorageTRES=gres/gpu
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5"
  else
    acct="AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none"
  fi
  { cat <<CONF
ClusterName=$CLUSTER
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$P_CTLD
AuthType=auth/munge
AuthInfo=socket=$RUN/munge.socket
SlurmUser=$me
SlurmdUser=$me
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$RUN/slurmctld.pid
SlurmdPidFile=$RUN/slurmd.%n.pid
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
JobRequeue=1
KillWait=3
MinJobAge=7200
MessageTimeout=100
BatchStartTimeout=100
FirstJobId=$((PORT%9000*1000+1))
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
$acct
CONF
    for i in $(seq "$NODES"); do
      list="$list${list:+,}n$i"
      echo "NodeName=n$i NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((P_NODE+i)) CPUs=$CPUS RealMemory=$MEM Gres=gpu:$GPUS Features=fake,even$((i%2)) State=UNKNOWN"
    done
    echo "PartitionName=gpu Nodes=$list Default=YES DefaultTime=10 MaxTime=60 PriorityTier=10 State=UP"
    echo "PartitionName=low Nodes=$list DefaultTime=10 MaxTime=60 PriorityTier=1 GraceTime=10 State=UP"
  } > "$ETC/slurm.conf"
  # 22.05 probes cgroups even when no cgroup plugin is used and fails in a container without
  # a v1 mount or without systemd; naming v1 skips the probe and nothing of it is used here
  [ -s "$ETC/cgroup.conf" ] || echo "CgroupPlugin=cgroup/v1" > "$ETC/cgroup.conf"
  : > "$ETC/gres.conf"
  if [ "$GPUS" -gt 0 ]; then
    # must be character devices (a plain file is counted but CUDA_VISIBLE_DEVICES stays unset);
    # a symlink to /dev/null passes and needs no CAP_MKNOD
    for i in $(seq 0 $((GPUS-1))); do ln -sfn /dev/null "$ROOT/gpu/gpu$i"; done
    local range=0; [ "$GPUS" -gt 1 ] && range="[0-$((GPUS-1))]"
    for i in $(seq "$NODES"); do echo "NodeName=n$i Name=gpu File=$ROOT/gpu/gpu$range"; done > "$ETC/gres.conf"
  fi
  if [ "$ACCT" = 1 ]; then
    (umask 077; cat > "$ETC/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$RUN/munge.socket
DbdHost=$HOST
DbdAddr=127.0.0.1
DbdPort=$P_DBD
SlurmUser=$me
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$P_SQL
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
LogFile=$LOG/slurmdbd.log
PidFile=$RUN/slurmdbd.pid
CONF
    )
  fi
  # node names must resolve (torch.distributed uses the first one as MASTER_ADDR)
  for i in $(seq "$NODES"); do
    if ! getent hosts "n$i" >/dev/null; then
      { echo "127.0.0.1 n$i" >> /etc/hosts; } 2>/dev/null || say "note: n$i does not resolve (cannot write /etc/hosts)"
    fi
  done
  echo "export SLURM_CONF=$SLURM_CONF" > "$ROOT/env"
}

start() {
  local t0 i tools="munged slurmctld slurmd sbatch"; t0=${EPOCHREALTIME/[.,]/}
  [ "$ACCT" = 1 ] && tools="$tools slurmdbd mariadbd"
  for i in $tools; do command -v "$i" >/dev/null || die "missing program: $i"; done
  write_config

  if ! alive "$RUN/munged.pid" munged; then
    rm -f "$RUN"/munge.socket*
    munged --force --key-file="$ETC/munge.key" --socket="$RUN/munge.socket" --pid-file="$RUN/munged.pid" \
           --log-file="$LOG/munged.log" --seed-file="$ROOT/munged.seed" 2>>"$LOG/munged.log" || die "munged did not start"
  fi
  until_ok munged munge -n -S "$RUN/munge.socket"

  if [ "$ACCT" = 1 ]; then
    if ! alive "$RUN/mariadbd.pid" mariadbd; then
      local sqluser; sqluser=$(id -un)
      if [ ! -d "$ROOT/sql/mysql" ]; then
        # what mariadb-install-db does, minus help and sys tables (and minus its need for
        # my_print_defaults from mariadb-client-core)
        mkdir -p "$ROOT/sql"; chmod 0700 "$ROOT/sql"
        { printf 'CREATE DATABASE mysql;\nUSE mysql;\nSET @auth_root_socket=NULL;\n'
          cat /usr/share/mysql/mysql_system_tables.sql /usr/share/mysql/mysql_performance_tables.sql \
              /usr/share/mysql/mysql_system_tables_data.sql
        } | mariadbd --no-defaults --bootstrap --datadir="$ROOT/sql" --user="$sqluser" --innodb-log-file-size=8M \
              --log-warnings=0 --max-allowed-packet=8M >"$LOG/mariadb-install.log" 2>&1 \
          || { rm -rf "$ROOT/sql"; die "mariadbd --bootstrap failed"; }
        cat > "$ETC/init.sql" <<SQL
CREATE DATABASE IF NOT EXISTS slurm_acct;
CREATE USER IF NOT EXISTS 'slurm'@'%' IDENTIFIED BY 'slurm';
GRANT ALL ON slurm_acct.* TO 'slurm'@'%';
SQL
      fi
      need_port "$P_SQL"
      mariadbd --no-defaults --datadir="$ROOT/sql" --user="$sqluser" --bind-address=127.0.0.1 --port="$P_SQL" \
        --socket="$RUN/mariadb.sock" --pid-file="$RUN/mariadbd.pid" --init-file="$ETC/init.sql" \
        --innodb-buffer-pool-size=64M --innodb-log-file-size=8M --innodb-lock-wait-timeout=900 \
        --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --skip-log-bin --skip-name-resolve \
        --performance-schema=OFF >"$LOG/mariadbd.log" 2>&1 </dev/null &
      until_ok mariadbd tcp_open "$P_SQL"
    fi
    if ! alive "$RUN/slurmdbd.pid" slurmdbd; then need_port "$P_DBD"; slurmdbd || die "slurmdbd did not start"; fi
    until_ok slurmdbd sacctmgr -n -i list cluster
  fi

  if ! alive "$RUN/slurmctld.pid" slurmctld; then need_port "$P_CTLD"; slurmctld || die "slurmctld did not start"; fi
  for i in $(seq "$NODES"); do
    if ! alive "$RUN/slurmd.n$i.pid" slurmd; then
      slurmd -N "n$i" 2>>"$LOG/slurmd.n$i.err" || { echo "CgroupPlugin=disabled" > "$ETC/cgroup.conf"  # newer Slurm
        slurmd -N "n$i" || die "slurmd n$i did not start (is /sys mounted?)"; }
    fi
  done
  until_ok slurmctld scontrol ping
  until_ok "all nodes idle" all_up
  if [ "$ACCT" = 1 ]; then until_ok "sacct" sacct -n -X; fi
  say "up in $(( (${EPOCHREALTIME/[.,]/} - t0) / 1000 )) ms; run:  . $ROOT/env"
}
all_up() { local n; n=$(sinfo -h -N -p gpu -o '%T' | grep -cE '^(idle|mixed|allocated|completing)$'); [ "$n" = "$NODES" ]; }

stop() {
  local i t0; t0=${EPOCHREALTIME/[.,]/}
  if alive "$RUN/slurmctld.pid" slurmctld; then
    scancel -u "$(id -un)" >/dev/null 2>&1 || true          # this cluster only: SLURM_CONF points at it
    for _ in $(seq 20); do [ -z "$(squeue -h 2>/dev/null)" ] && break; sleep 0.25; done
  fi
  for i in "$RUN"/slurmd.*.pid; do [ -e "$i" ] && stop_one "$i" slurmd; done
  stop_one "$RUN/slurmctld.pid" slurmctld
  stop_one "$RUN/slurmdbd.pid" slurmdbd
  stop_one "$RUN/mariadbd.pid" mariadbd
  stop_one "$RUN/munged.pid" munged
  say "stopped in $(( (${EPOCHREALTIME/[.,]/} - t0) / 1000 )) ms"
}

status() {
  local f n ok=0
  for f in munged mariadbd slurmdbd slurmctld; do
    if alive "$RUN/$f.pid" "$f"; then echo "$f up ($(cat "$RUN/$f.pid"))"; else echo "$f down"; fi
  done
  for f in "$RUN"/slurmd.*.pid; do
    [ -e "$f" ] || continue; n=$(basename "$f" .pid)
    if alive "$f" slurmd; then echo "$n up ($(cat "$f"))"; else echo "$n down"; fi
  done
  sinfo 2>/dev/null || ok=1; return $ok
}

case ${1:-} in
  start) start ;;
  stop) stop ;;
  restart) stop; start ;;
  status) status ;;
  purge) stop; case $ROOT in /|/root|/home|/tmp|"") die "refusing to remove $ROOT";; *) [ -f "$ETC/slurm.conf" ] && rm -rf -- "$ROOT";; esac ;;
  *) echo "usage: $0 start|stop|restart|status|purge" >&2; exit 2 ;;
esac
