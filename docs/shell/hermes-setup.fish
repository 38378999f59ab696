# Completion of hermes-setup for fish. Made by tools/make_shell_files.py from the program's help.
complete -c hermes-setup -f
complete -c hermes-setup -n __fish_use_subcommand -a "apply users undo answers doctor rehearse"
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and not __fish_seen_subcommand_from list add passwd remove sign-out" -a "list add passwd remove sign-out"
complete -c hermes-setup -n "__fish_use_subcommand" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_use_subcommand" -l version
complete -c hermes-setup -n "__fish_use_subcommand" -l help
complete -c hermes-setup -n "__fish_seen_subcommand_from apply" -l answers -r -F
complete -c hermes-setup -n "__fish_seen_subcommand_from apply" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply" -l check -d 'show what would be changed; exit 4 when that is anything'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from apply" -l allow-lockout -d 'let the allowed addresses leave out the one that this ssh session comes from'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from list" -l json
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add" -l password-stdin
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add" -l generate
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from add" -l from -r -F
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd" -l password-stdin
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd" -l generate
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from passwd" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from remove" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from remove" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out" -l all
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from users; and __fish_seen_subcommand_from sign-out" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo" -l last
complete -c hermes-setup -n "__fish_seen_subcommand_from undo" -l yes -d 'agree to what the plan shows, and to nothing else'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo" -l dry-run -d 'show every change, make none'
complete -c hermes-setup -n "__fish_seen_subcommand_from undo" -l allow-lockout -d 'let the allowed addresses leave out the one that this ssh session comes from'
complete -c hermes-setup -n "__fish_seen_subcommand_from doctor" -l json
complete -c hermes-setup -n "__fish_seen_subcommand_from rehearse" -l answers -r -F
