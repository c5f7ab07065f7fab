# bash completion for failoverctl                                         -*- shell-script -*-
#
# Needs nothing of the bash-completion package, so that it can be sourced as it is. Names come from the daemon, by
# `failoverctl list`; without one there are none. A device may be called `$(reboot)`, and compgen expands what it is
# given: so names that a shell would take for more than a word are not offered.

_failoverctl_names() { # PROGRAM AWK-CONDITION: the names for which it holds
    timeout 2 "$1" list 2>/dev/null | awk -v master="$3" "\$1 ~ /^[A-Za-z0-9_.:+-]+\$/ && ($2) { print \$1 }" 2>/dev/null
}

_failoverctl_interfaces() { # PROGRAM
    timeout 2 "$1" interfaces 2>/dev/null | awk 'NR > 2 && $1 ~ /^[A-Za-z0-9_.:+-]+$/ { print $1 }' 2>/dev/null
}

_failoverctl_links() { # PROGRAM
    timeout 2 "$1" links --json 2>/dev/null | sed -n 's/^      "name": "\([a-z0-9._-]*\)",$/\1/p' 2>/dev/null
}

_failoverctl() {
    local program=$1 current=$2 previous=$3 command="" words="" i
    local -a arguments=()
    local options="--json -q --quiet --color -h --help --version"

    # bash takes --color=always for three words.
    if [[ $current == = ]]; then
        current=""
    elif [[ $previous == = ]]; then
        previous=${COMP_WORDS[COMP_CWORD-2]}
    fi

    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --color | --timeout | --master | --since | --last | --svg | --root | =)
            [[ ${COMP_WORDS[i]} == = || ${COMP_WORDS[i+1]} != = ]] && ((i++)) ;;
        -*) ;;
        *) if [[ $command ]]; then arguments+=("${COMP_WORDS[i]}"); else command=${COMP_WORDS[i]}; fi ;;
        esac
    done

    case $command in
    drain) options+=" --timeout" ;;
    move) options+=" --home --dry-run" ;;
    interfaces) options+=" --active --inactive --watch" ;;
    interface-xml) options+=" --all" ;;
    fleet) options+=" --watch" ;;
    install-service) options+=" --root --remove" ;;
    history) options+=" --master --since --last --strip --svg" ;;
    links)
        case ${arguments[0]} in
        wait) options+=" --timeout" ;;
        graph) options+=" --svg" ;;
        list | check) options+=" --dry-run" ;;
        put | get | del) options+=" --node" ;;
        esac ;;
    esac

    case $previous in
    --color) words="auto always never" ;;
    --master) words=$(_failoverctl_names "$program" '$2 == "master"') ;;
    --svg | --root)
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return ;;
    --timeout | --since | --last) return ;;
    *)
        if [[ $current == -* ]]; then
            words=$options
        elif [[ ! $command ]]; then
            words="status list show explain interfaces interface-xml watch history drain undrain reset-damping switch rename release adopt move links fleet reload check-config install-service"
        else
            case $command:${#arguments[@]} in
            links:0)
                words="list show explain watch wait resync release stats check accept put get del import-ligato graph" ;;
            links:*)
                case ${arguments[0]}:${#arguments[@]} in
                list:* | wait:* | accept:* | del:* | show:1 | explain:1 | resync:1 | release:1 | stats:1)
                    words=$(_failoverctl_links "$program") ;;
                check:1 | put:1 | import-ligato:1)
                    compopt -o filenames 2>/dev/null
                    mapfile -t COMPREPLY < <(compgen -f -- "$current")
                    return ;;
                esac ;;
            interface-xml:*)
                words=$(_failoverctl_interfaces "$program") ;;
            status:0 | drain:0 | undrain:0 | reset-damping:0 | switch:0 | release:0 | adopt:0 | move:0)
                words=$(_failoverctl_names "$program" '$2 == "master"') ;;
            show:0 | explain:0 | rename:0)
                words=$(_failoverctl_names "$program" 1) ;;
            switch:1)
                words=$(_failoverctl_names "$program" '$2 != "master" && $3 == master' "${arguments[0]}") ;;
            check-config:0)
                compopt -o filenames 2>/dev/null
                mapfile -t COMPREPLY < <(compgen -f -- "$current")
                return ;;
            esac
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current" | sort -u)
}

complete -F _failoverctl failoverctl
