# Completion of hermes-setup for fish. Made by tools/make_shell_files.py from the program's help.
function __hermes_setup_without -d 'None of these flags is on the line, but the last one where its value comes now'
    set -l words (commandline -opc)
    contains -- "$words[-1]" --answers --from; and set -e words[-1]
    for flag in $argv
        string match -q -- $flag $words; or string match -q -- "$flag=*" $words; and return 1
    end
    return 0
end
complete -c hermes-setup -f
complete -c hermes-setup -n __fish_use_subcommand -a "apply users undo answers doctor rehearse"
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and not __fish_seen_subcommand_from list add passwd remove sign-out" -a "list add passwd remove sign-out"
complete -c hermes-setup -n "__fish_use_subcommand; and __hermes_setup_without --allow-lockout" -l allow-lockout -d 'let the allowed addresses leave out the one that this ssh session comes from'
complete -c hermes-setup -n "__fish_use_subcommand; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_use_subcommand; and __hermes_setup_without --allow-lockout --dry-run --version --help" -l version -d 'print the version'
complete -c hermes-setup -n "__fish_use_subcommand; and __hermes_setup_without --allow-lockout --dry-run --version --help" -l help -d 'print a page of help'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply; and __hermes_setup_without --answers" -l answers -r -F -d 'take the answers from a file'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply; and __hermes_setup_without --check" -l check -d 'show what would be changed; exit 4 when that is anything'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply; and __hermes_setup_without --allow-lockout" -l allow-lockout -d 'let the allowed addresses leave out the one that this ssh session comes from'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from list; and __hermes_setup_without --json" -l json -d 'print JSON on stdout'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add; and __hermes_setup_without --password-stdin" -l password-stdin -d 'read the password from stdin: one line'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add; and __hermes_setup_without --generate" -l generate -d 'make a password up'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add; and __hermes_setup_without --from" -l from -r -F -d 'take the users from a file, instead of one name'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd; and __hermes_setup_without --password-stdin" -l password-stdin -d 'read the password from stdin: one line'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd; and __hermes_setup_without --generate" -l generate -d 'make a password up'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from remove; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from remove; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out; and __hermes_setup_without --all" -l all -d 'sign everybody out'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo; and __hermes_setup_without --last" -l last -d 'the last run: the only one that can be undone'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo; and __hermes_setup_without --yes" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo; and __hermes_setup_without --dry-run" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo; and __hermes_setup_without --allow-lockout" -l allow-lockout -d 'let the allowed addresses leave out the one that this ssh session comes from'
complete -c hermes-setup -n "__fish_seen_subcommand_from doctor; and __hermes_setup_without --json" -l json -d 'print JSON on stdout'
complete -c hermes-setup -n "__fish_seen_subcommand_from rehearse; and __hermes_setup_without --answers" -l answers -r -F -d 'take the answers from a file'
