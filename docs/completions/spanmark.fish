# fish completion for spanmark: the command itself says what fits (harness/command/complete.c).

function __spanmark_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in (command $words[1] --complete $words[2..-1] "$typed" 2>/dev/null)
        switch $line
            case :files
                __fish_complete_path "$typed"
            case :commands
                __fish_complete_command
            case :list
            case '*'
                echo $line
        end
    end
end
complete -c spanmark -f -a '(__spanmark_complete)'
