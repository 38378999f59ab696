# Completion of hermes-setup for bash. Made by tools/make_shell_files.py from the program's help.
_hermes_setup() {
    local cur=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} words='' used=' ' each number
    local verb=${COMP_WORDS[1]} two="${COMP_WORDS[1]} ${COMP_WORDS[2]}"
    COMPREPLY=()
    if [ "$cur" = = ]; then cur=''; elif [ "$before" = = ]; then before=${COMP_WORDS[COMP_CWORD - 2]}; fi
    case $before in
    --answers|--from)
        compopt -o filenames 2>/dev/null
        if [ "$before" = --answers ]; then
            mapfile -t COMPREPLY < <(compgen -f -X '!*.toml' -- "$cur"; compgen -d -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        return
        ;;
    esac
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="apply users undo answers doctor rehearse --allow-lockout --dry-run --version --help"
    else
        case $verb in
        --allow-lockout|--dry-run) words="--allow-lockout --dry-run" ;;
        users) [ "$COMP_CWORD" -ne 2 ] || words="list add passwd remove sign-out" ;;
        esac
        for each in "$two" "$verb"; do
            [ -z "$words" ] || break
            case $each in
            "apply") words="--answers --dry-run --check --yes --allow-lockout" ;;
            "users list") words="--json" ;;
            "users add") words="--password-stdin --generate --yes --dry-run --from" ;;
            "users passwd") words="--password-stdin --generate --yes --dry-run" ;;
            "users remove") words="--yes --dry-run" ;;
            "users sign-out") words="--all --yes --dry-run" ;;
            "undo") words="--last --yes --dry-run --allow-lockout" ;;
            "answers") words="" ;;
            "doctor") words="--json" ;;
            "rehearse") words="--answers" ;;
            esac
        done
    fi
    for number in "${!COMP_WORDS[@]}"; do
        [ "$number" -eq "$COMP_CWORD" ] || used+="${COMP_WORDS[number]} "
    done
    for each in $words; do # a flag once
        case $each$used in --*" $each "*) words=" $words "; words=${words/ $each / } ;; esac
    done
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _hermes_setup hermes-setup
