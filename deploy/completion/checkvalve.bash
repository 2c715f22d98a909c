# bash completion for checkvalve; made by deploy/completion.py
_checkvalve() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} offered= files= value= path=
    path=${COMP_WORDS[1]}
    case $path in history|keys|audit|bench) [ "$COMP_CWORD" -lt 3 ] || path="$path ${COMP_WORDS[2]}" ;; esac
    if [ "$COMP_CWORD" = 1 ]; then
        COMPREPLY=($(compgen -W "demo simulate relay init discover plan peek watch send receive accept linktest replay gaps history status doctor setup keys audit bench --help --version" -- "$word"))
        return
    fi
    case "$path $before" in
        "demo --loss") offered= files=1; value=1 ;;
        "demo --burst") offered= files=1; value=1 ;;
        "demo --cut") offered= files=1; value=1 ;;
        "demo --seconds") offered= files=1; value=1 ;;
        "demo --seed") offered= files=1; value=1 ;;
        "demo --folder") offered= files=1; value=1 ;;
        "demo --control") offered= files=1; value=1 ;;
        "simulate --seed") offered= files=1; value=1 ;;
        "simulate --host") offered= files=1; value=1 ;;
        "simulate --ports-file") offered= files=1; value=1 ;;
        "simulate --sender-toml") offered= files=1; value=1 ;;
        "simulate --status") offered= files=1; value=1 ;;
        "simulate --fault") offered= files=1; value=1 ;;
        "simulate --control") offered= files=1; value=1 ;;
        "relay --listen") offered= files=1; value=1 ;;
        "relay --to") offered= files=1; value=1 ;;
        "relay --loss") offered= files=1; value=1 ;;
        "relay --burst") offered= files=1; value=1 ;;
        "relay --cut") offered= files=1; value=1 ;;
        "relay --duplicate") offered= files=1; value=1 ;;
        "relay --reorder") offered= files=1; value=1 ;;
        "relay --truncate") offered= files=1; value=1 ;;
        "relay --flip") offered= files=1; value=1 ;;
        "relay --delay") offered= files=1; value=1 ;;
        "relay --jitter") offered= files=1; value=1 ;;
        "relay --rate-mbit") offered= files=1; value=1 ;;
        "relay --buffer") offered= files=1; value=1 ;;
        "relay --seed") offered= files=1; value=1 ;;
        "relay --status") offered= files=1; value=1 ;;
        "init --site") offered= files=1; value=1 ;;
        "init --to") offered= files=1; value=1 ;;
        "init --rate-mbit") offered= files=1; value=1 ;;
        "init --mtu") offered= files=1; value=1 ;;
        "init --loss-target") offered= files=1; value=1 ;;
        "init --keep") offered= files=1; value=1 ;;
        "init --max-gb") offered= files=1; value=1 ;;
        "init --peer") offered= files=1; value=1 ;;
        "init --listen") offered= files=1; value=1 ;;
        "init --buffer-mib") offered= files=1; value=1 ;;
        "init --journal") offered= files=1; value=1 ;;
        "init --history") offered= files=1; value=1 ;;
        "init --pages") offered= files=1; value=1 ;;
        "discover --name") offered= files=1; value=1 ;;
        "discover --set") offered= files=1; value=1 ;;
        "discover --timeout") offered= files=1; value=1 ;;
        "discover --class") offered="process safety protection"; value=1 ;;
        "discover --range") offered= files=1; value=1 ;;
        "discover --map") offered= files=1; value=1 ;;
        "discover --map-first") offered= files=1; value=1 ;;
        "discover --never-read") offered= files=1; value=1 ;;
        "peek --set") offered= files=1; value=1 ;;
        "watch --only") offered= files=1; value=1 ;;
        "watch --seconds") offered= files=1; value=1 ;;
        "send --only") offered="poll emit"; value=1 ;;
        "send --confine") offered="on strict off"; value=1 ;;
        "send --preflight") offered="refuse warn"; value=1 ;;
        "receive --only") offered= files=1; value=1 ;;
        "receive --confine") offered="on strict off"; value=1 ;;
        "receive --preflight") offered="refuse warn"; value=1 ;;
        "linktest --rates") offered= files=1; value=1 ;;
        "linktest --up-to") offered= files=1; value=1 ;;
        "linktest --sizes") offered= files=1; value=1 ;;
        "linktest --bursts") offered= files=1; value=1 ;;
        "linktest --seconds") offered= files=1; value=1 ;;
        "setup --config") offered= files=1; value=1 ;;
        "setup --interface") offered= files=1; value=1 ;;
        "setup --address") offered= files=1; value=1 ;;
        "setup --to") offered= files=1; value=1 ;;
        "setup --listen") offered= files=1; value=1 ;;
        "setup --peer-mac") offered= files=1; value=1 ;;
        "setup --appliance-mac") offered= files=1; value=1 ;;
        "setup --sender") offered= files=1; value=1 ;;
        "setup --netns") offered= files=1; value=1 ;;
        "setup --mtu") offered= files=1; value=1 ;;
        "setup --host") offered= files=1; value=1 ;;
        "audit capture --high") offered= files=1; value=1 ;;
        "audit capture --low") offered= files=1; value=1 ;;
        "audit capture --port") offered= files=1; value=1 ;;
        "audit capture --control") offered= files=1; value=1 ;;
        "audit capture --appliance") offered= files=1; value=1 ;;
        "audit capture --by") offered= files=1; value=1 ;;
        "audit capture --keep") offered= files=1; value=1 ;;
        "audit live --side") offered="high low"; value=1 ;;
        "audit live --interface") offered= files=1; value=1 ;;
        "audit live --netns") offered= files=1; value=1 ;;
        "audit live --config") offered= files=1; value=1 ;;
        "audit live --pid") offered= files=1; value=1 ;;
        "audit live --peer-mac") offered= files=1; value=1 ;;
        "audit live --diode") offered="bare-fibre appliance"; value=1 ;;
        "audit live --appliance") offered= files=1; value=1 ;;
        "audit live --by") offered= files=1; value=1 ;;
        "audit live --keep") offered= files=1; value=1 ;;
        "audit collect --keep") offered= files=1; value=1 ;;
        "audit provoke --interface") offered= files=1; value=1 ;;
        "audit provoke --address") offered= files=1; value=1 ;;
        "audit provoke --to") offered= files=1; value=1 ;;
        "audit provoke --peer-mac") offered= files=1; value=1 ;;
        "audit provoke --wait") offered= files=1; value=1 ;;
        "audit provoke --control") offered= files=1; value=1 ;;
        "audit provoke --keep") offered= files=1; value=1 ;;
        "audit journal --key") offered= files=1; value=1 ;;
        "audit journal --site") offered= files=1; value=1 ;;
        "audit journal --keep") offered= files=1; value=1 ;;
        "audit code --config") offered= files=1; value=1 ;;
        "audit code --emit") offered= files=1; value=1 ;;
        "audit code --catch") offered= files=1; value=1 ;;
        "audit code --keep") offered= files=1; value=1 ;;
        "audit selftest --capture") offered= files=1; value=1 ;;
        "audit selftest --high") offered= files=1; value=1 ;;
        "audit selftest --keep") offered= files=1; value=1 ;;
        "audit report --out") offered= files=1; value=1 ;;
        "audit report --answers") offered= files=1; value=1 ;;
        "audit report --from") offered= files=1; value=1 ;;
        "audit report --to") offered= files=1; value=1 ;;
        "audit report --only") offered="high low"; value=1 ;;
        "audit report --title") offered= files=1; value=1 ;;
        "bench soak --minutes") offered= files=1; value=1 ;;
        "bench soak --tags") offered= files=1; value=1 ;;
        "bench soak --rate") offered= files=1; value=1 ;;
        "bench soak --pages") offered= files=1; value=1 ;;
        "bench soak --json") offered= files=1; value=1 ;;
        "bench soak --page") offered= files=1; value=1 ;;
        "bench codec --runs") offered= files=1; value=1 ;;
        "bench codec --json") offered= files=1; value=1 ;;
        "bench codec --page") offered= files=1; value=1 ;;
        "bench fec --runs") offered= files=1; value=1 ;;
        "bench fec --json") offered= files=1; value=1 ;;
        "bench fec --page") offered= files=1; value=1 ;;
        "bench collect --runs") offered= files=1; value=1 ;;
        "bench collect --json") offered= files=1; value=1 ;;
        "bench collect --page") offered= files=1; value=1 ;;
        "bench loss --runs") offered= files=1; value=1 ;;
        "bench loss --json") offered= files=1; value=1 ;;
        "bench loss --page") offered= files=1; value=1 ;;
        "bench confine --runs") offered= files=1; value=1 ;;
        "bench confine --json") offered= files=1; value=1 ;;
        "bench confine --page") offered= files=1; value=1 ;;
        "bench audit --runs") offered= files=1; value=1 ;;
        "bench audit --json") offered= files=1; value=1 ;;
        "bench audit --page") offered= files=1; value=1 ;;
        "bench link --runs") offered= files=1; value=1 ;;
        "bench link --json") offered= files=1; value=1 ;;
        "bench link --page") offered= files=1; value=1 ;;
    esac
    if [ -z "$value" ]; then
        case $path in
        "demo") offered="--loss --burst --cut --seconds --headless --json --seed --folder --control --help" ;;
        "simulate") offered="--seed --host --ports-file --sender-toml --status --fault --control --netns --help" ;;
        "relay") offered="--listen --to --loss --burst --cut --duplicate --reorder --truncate --flip --delay --jitter --rate-mbit --buffer --seed --status --trace --help" ;;
        "init") offered="high low --site --to --rate-mbit --mtu --loss-target --keep --max-gb --peer --sheet --help --listen --buffer-mib --journal --history --pages" ;;
        "discover") offered="--name --set --timeout --class --range --map --map-first --never-read --help" ;;
        "plan") offered="--json --help" ;;
        "peek") offered="--set --json --help" ;;
        "watch") offered="--only --seconds --json --help" ;;
        "send") offered="--check --only --confine --preflight --reload --help" ;;
        "receive") offered="--check --only --confine --preflight --help" ;;
        "accept") offered="--lower --help" ;;
        "linktest") offered="--rates --up-to --sizes --bursts --seconds --json --help" ;;
        "replay") offered="--dry-run --json --help" ;;
        "gaps") offered="--json --help" ;;
        "history") offered="check rebuild --help" ;;
        "history check") offered="--help" ;;
        "history rebuild") offered="--help" ;;
        "status") offered="--json --help" ;;
        "doctor") offered="--json --help" ;;
        "setup") offered="high low --config --interface --address --to --listen --peer-mac --appliance-mac --sender --netns --mtu --apply --verify --host --help" ;;
        "keys") offered="new show --help" ;;
        "keys new") offered="--help" ;;
        "keys show") offered="--help" ;;
        "audit") offered="capture live collect provoke journal code selftest explain questions report diff --help" ;;
        "audit capture") offered="--high --low --port --control --appliance --by --keep --all --json --help" ;;
        "audit live") offered="--side --interface --netns --config --pid --peer-mac --diode --appliance --by --keep --carry --no-carry --all --json --help" ;;
        "audit collect") offered="--keep --help" ;;
        "audit provoke") offered="--interface --address --to --peer-mac --wait --control --from-low --keep --all --json --help" ;;
        "audit journal") offered="--key --site --keep --all --json --help" ;;
        "audit code") offered="--config --emit --catch --libraries --keep --all --json --help" ;;
        "audit selftest") offered="--capture --high --keep --all --json --help" ;;
        "audit explain") offered="--help" ;;
        "audit questions") offered="--help" ;;
        "audit report") offered="--out --answers --from --to --only --title --json --help" ;;
        "audit diff") offered="--json --help" ;;
        "bench") offered="soak codec fec collect loss confine audit link --help" ;;
        "bench soak") offered="--minutes --tags --rate --pages --json --page --help" ;;
        "bench codec") offered="--runs --json --page --help" ;;
        "bench fec") offered="--runs --json --page --help" ;;
        "bench collect") offered="--runs --json --page --help" ;;
        "bench loss") offered="--runs --json --page --help" ;;
        "bench confine") offered="--runs --json --page --help" ;;
        "bench audit") offered="--runs --json --page --help" ;;
        "bench link") offered="--runs --json --page --help" ;;
        esac
        files=1
    fi
    COMPREPLY=($(compgen -W "$offered" -- "$word"))
    case $files$word in 1-*) ;; 1*) COMPREPLY+=($(compgen -f -- "$word")) ;; esac
}
complete -o filenames -F _checkvalve checkvalve
