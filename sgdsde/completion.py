"""Tab completion for bash and zsh: words of the command line, and the names that ``sgdsde list`` knows.

bash: eval "$(sgdsde completion bash)"        zsh: eval "$(sgdsde completion zsh)"
"""

from __future__ import annotations

#: commands with what follows them: kinds of names, options
COMMANDS = {
    "verify": ("", "--profile --claim --paper --out --seed --workers"),
    "run": ("experiments", "--profile --config --grid --out --executor --gpus --deadline --attempts --experiments"),
    "figures": ("figures", "--from --width --out --workers"),
    "report": ("", "--out"),
    "atlas": ("objectives", "--eta --theta --covariance --batch-size --components --option --horizon --model --json"),
    "list": ("", ""),
    "info": ("", ""),
    "completion": ("", ""),
}
#: settings that every study has
SETTINGS = "--paths --block_paths --seed --device"
KINDS = ("claims", "models", "objectives", "noises", "kernels", "experiments", "figures")
SHELLS = ("bash", "zsh")

_BASH = """\
_sgdsde() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" known=""
  _sgdsde_names() {{ sgdsde list "$1" 2>/dev/null | grep -o '^[^ ]*' | sort -u; }}
  if [ "$COMP_CWORD" -eq 1 ]; then
    known="{commands}"
  else
    case "$before" in
      --claim) known="$(_sgdsde_names claims)" ;;
      --model) known="$(_sgdsde_names models)" ;;
      --profile) known="quick full paper" ;;
      --width) known="neurips icml jmlr" ;;
      --out|--from|--config|--experiments|--json) COMPREPLY=($(compgen -f -- "$word")); return ;;
      --device) known="cpu cuda" ;;
      *) case "${{COMP_WORDS[1]}}" in
{cases}
      esac ;;
    esac
  fi
  COMPREPLY=($(compgen -W "$known" -- "$word"))
  if [ "${{COMP_WORDS[1]}}" = report ]; then COMPREPLY+=($(compgen -d -- "$word")); fi
}}
complete -F _sgdsde sgdsde
"""


def script(shell: str) -> str:
    """What the shell evaluates."""
    cases = []
    for name, (kind, options) in COMMANDS.items():
        words = f"{options} --help".strip()
        if name == "list":
            words = " ".join(KINDS)
        elif name == "completion":
            words = " ".join(SHELLS)
        elif name == "run":
            words = f"{SETTINGS} {words}"
        names = f" $(_sgdsde_names {kind})" if kind else ""
        cases.append(f'        {name}) known="{words}{names}" ;;')
    text = _BASH.format(commands=" ".join(COMMANDS), cases="\n".join(cases))
    return text if shell == "bash" else "autoload -U +X compinit && compinit -u\nautoload -U +X bashcompinit && bashcompinit\n" + text
