#!/bin/bash
# usage: tools/deps.sh build|test|world|model|lint|fuzz|bench|profile…   — installs what those need and is missing, from Debian's packages.
# Quiet, and nothing at all where everything is there. Starts no service.
set -eu

packages() {
	case $1 in
	build)
		echo gcc libc6-dev make pkg-config python3 libcurl4-openssl-dev libssl-dev libpcre2-dev libidn2-dev libevent-dev \
			libsqlite3-dev libjansson-dev libiniparser-dev libcrypt-dev libncurses-dev
		;;
	test)
		echo libcmocka-dev python3-pytest openssl ca-certificates dovecot-pop3d postfix procps iproute2 strace e2fsprogs git \
			mandoc zsh fetchmail mpop getmail6 mutt curl msmtp swaks libnet-ssleay-perl libauthen-sasl-perl
		;;
	world) echo debootstrap util-linux mount ;;
	model) echo spin gcc ;;
	lint) echo clang clang-format clang-tidy cppcheck shellcheck git ;;
	bench) echo postfix dovecot-pop3d dovecot-sieve fetchmail mpop getmail6 fdm maildrop ;;
	profile) echo linux-perf strace openssl ;;
	deb) echo build-essential debhelper debootstrap util-linux iproute2 dpkg-dev fakeroot lintian mandoc git systemd ;;
	fuzz) echo clang ;;
	*)
		echo "deps.sh: no such set: $1" >&2
		exit 1
		;;
	esac
}

sets=("$@")
wanted=()
for set in "$@"; do
	list=$(packages "$set")
	read -ra more <<<"$list"
	wanted+=("${more[@]}")
done
installed=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)
missing=()
for p in "${wanted[@]}"; do
	grep -qxF "$p installed" <<<"$installed" || missing+=("$p")
done

# Without promtool one test is skipped, and says so; without these servers, which exclude Postfix, the bench's rows say so.
more() {
	case " ${sets[*]} " in *" test "*) tools/promtool.sh build/tools/promtool || true ;; esac
	case " ${sets[*]} " in
	*" bench "*) tools/unpack.sh build/peers exim4-base exim4-daemon-light opensmtpd || true ;;
	esac
}
if [ ${#missing[@]} -eq 0 ]; then
	more
	exit 0
fi

root=()
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || {
		echo "These packages are missing, and only root can install them: ${missing[*]}" >&2
		exit 1
	}
	root=(sudo -n)
	"${root[@]}" true 2>/dev/null || root=(sudo)
fi

# Packages of mail servers start them on installation; with this policy they do not.
policy=/usr/sbin/policy-rc.d
made=
if [ ! -e $policy ]; then
	printf '#!/bin/sh\nexit 101\n' | "${root[@]}" tee $policy >/dev/null
	"${root[@]}" chmod 755 $policy
	made=yes
fi
log=$(mktemp)
finish() {
	[ -z "$made" ] || "${root[@]}" rm -f $policy
	rm -f "$log"
}
trap finish EXIT

apt() {
	"${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" \
		</dev/null >>"$log" 2>&1
}

echo "Installing from Debian's packages: ${missing[*]}"
# Otherwise its package would write a mail system of its own into /etc.
echo 'postfix postfix/main_mailer_type select No configuration' | "${root[@]}" debconf-set-selections 2>/dev/null || true
if ! { apt install -y --no-install-recommends "${missing[@]}" ||
	{ apt update && apt install -y --no-install-recommends "${missing[@]}"; }; }; then
	tail -n 20 "$log" >&2
	echo "The packages could not be installed; apt-get's last words are above." >&2
	exit 1
fi
more
