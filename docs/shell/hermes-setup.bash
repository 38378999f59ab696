# Completion of hermes-setup for bash. Made by tools/make_shell_files.py from the program's help.
_hermes_setup() {
    local cur=${COMP_WORDS[COMP_CWORD]} words='' verb=${COMP_WORDS[1]} two="${COMP_WORDS[1]} ${COMP_WORDS[2]}"
    COMPREPLY=()
    if [ "${COMP_WORDS[COMP_CWORD - 1]}" = --answers ]; then
        mapfile -t COMPREPLY < <(compgen -f -X '!*.toml' -- "$cur"; compgen -d -- "$cur")
        return
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = --from ]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
    fi
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="apply users undo answers doctor rehearse --dry-run --version --help"
    else
        case $verb in
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
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}
complete -F _hermes_setup hermes-setup
