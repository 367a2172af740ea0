/// Writes a verdict for a person: the verdict first, then the culprit, then what to do; a finding fits into 80 by 24.
struct CheckText {
    /// An owner's name, safe to print.
    let name: (HolderOwner) -> String

    private static let width = 80
    private static let mostFindings = 5
    /// Lines.
    private static let screen = 24

    /// How much of what there is to say is said.
    private struct Share {
        var sentences = 4
        var fixesNow = 2
        var fixesLater = 2
        var remarks = 5

        /// The same with less of what matters least; nil: this is the least.
        var less: Share? {
            var less = self
            if remarks > 0 {
                less.remarks = 0
            } else if fixesLater > 1 {
                less.fixesLater -= 1
            } else if sentences > 3 {
                less.sentences -= 1
            } else if fixesNow > 1 {
                less.fixesNow -= 1
            } else if sentences > 2 {
                less.sentences -= 1
            } else if fixesLater > 0 {
                less.fixesLater -= 1
            } else {
                return nil
            }
            return less
        }
    }

    /// Adds the verdict. One finding, with what is beside it, gets one screen.
    func append(_ diagnosis: NodeDiagnosis, to output: inout OutputBuffer) {
        var share = Share()
        var text = bytes(of: diagnosis, share)
        while diagnosis.findings.count == 1, text.count(where: { $0 == UInt8(ascii: "\n") }) > CheckText.screen,
            let less = share.less
        {
            share = less
            text = bytes(of: diagnosis, share)
        }
        output.append(text)
    }

    private func bytes(of diagnosis: NodeDiagnosis, _ share: Share) -> [UInt8] {
        var output = OutputBuffer()
        append(diagnosis, share, to: &output)
        return output.withBytes { Array($0) }
    }

    private func append(_ diagnosis: NodeDiagnosis, _ share: Share, to output: inout OutputBuffer) {
        for line in diagnosis.headline { writeWhole(line, indent: "", to: &output) }
        for (index, finding) in diagnosis.findings.prefix(CheckText.mostFindings).enumerated() {
            if index > 0 {
                output.append(byte: UInt8(ascii: "\n"))
                write("\(finding.severity.rawValue): \(finding.summary)", indent: "", to: &output)
            }
            append(finding, share, to: &output)
        }
        let rest = diagnosis.findings.dropFirst(CheckText.mostFindings).count
        if rest > 0 { write("and \(rest) more findings: porttrace check -o json", indent: "", to: &output) }
        append(diagnosis.remarks, "note", most: share.remarks, to: &output)
        append(diagnosis.notVisible, "not visible", most: share.remarks, to: &output)
    }

    private func append(_ finding: Finding, _ share: Share, to output: inout OutputBuffer) {
        let isRacing = finding.areCulpritsRacing
        let (verb, whole) = isRacing ? ("sent", finding.failures) : ("holds", finding.occupancy.used)
        if let line = CheckText.largest(finding.culprits, "culprit: ", verb, of: whole, name) {
            write(line, indent: "", to: &output)
        } else if finding.isMeasured, finding.occupancy.used > 0 {
            write(CheckText.nobody(finding.occupancy), indent: "", to: &output)
        }
        if let line = CheckText.largest(finding.victims, "refused: ", "failed", of: finding.failures, name) {
            write(line, indent: "", to: &output)
        }
        for sentence in finding.evidence.prefix(share.sentences) {
            write(sentence, indent: "- ", to: &output)
        }
        append(finding.fixes, .now, most: share.fixesNow, to: &output)
        append(finding.fixes, .later, most: share.fixesLater, to: &output)
    }

    private func append(_ fixes: [Fix], _ time: Fix.Time, most: Int, to output: inout OutputBuffer) {
        for fix in fixes.lazy.filter({ $0.when == time }).prefix(most) {
            write(fix.why, indent: time == .now ? "now: " : "later: ", to: &output)
            guard time == .now else { continue }
            if let command = fix.command { writeWhole(command, indent: "    ", to: &output) }
            write(fix.risk, indent: "  risk: ", to: &output)
            if let persist = fix.persist { write(persist, indent: "  keep: ", to: &output) }
        }
    }

    private func append(_ sentences: [String], _ title: String, most: Int, to output: inout OutputBuffer) {
        for sentence in sentences.prefix(most) { write(sentence, indent: "\(title): ", to: &output) }
        let rest = sentences.dropFirst(most).count
        guard rest > 0 else { return }
        write("\(rest)\(most > 0 ? " more" : ""): porttrace check -o json", indent: "\(title): ", to: &output)
    }

    /// `culprit: shop/web nginx[4711] holds 230 (98%); shop/cart holds 4 (1%)`: the first two that are known.
    private static func largest(
        _ holders: [Holder], _ title: String, _ verb: String, of whole: UInt64, _ name: (HolderOwner) -> String
    ) -> String? {
        let parts = holders.prefix(2).map { holder in
            "\(name(holder.owner)) \(verb) \(CheckWords.number(holder.count)) "
                + "(\(CheckWords.percent(holder.count, of: whole)))"
                + (holder.isInferred ? ", inferred" : "")
        }
        return parts.isEmpty ? nil : title + parts.joined(separator: "; ")
    }

    private static func nobody(_ occupancy: Occupancy) -> String {
        let old = (occupancy.timeWait ?? 0) > 0
        return "culprit: not known" + (old ? ": TIME_WAIT sockets of before this run have no owner" : "")
    }

    // MARK: Lines

    /// A sentence in lines of 80 columns at most, broken at spaces; what follows stands under its beginning.
    ///
    /// Names come escaped, and are escaped once more for one who forgot to: what is safe already stays as it is.
    private func write(_ sentence: String, indent: String, to output: inout OutputBuffer) {
        let words = TerminalText(escaping: Array(sentence.utf8)).string.split(separator: " ")
        let margin = String(repeating: " ", count: indent.utf8.count)
        var line = indent
        var isEmpty = true
        for word in words {
            if !isEmpty, line.unicodeScalars.count + 1 + word.unicodeScalars.count > CheckText.width {
                writeLine(line, to: &output)
                line = margin
                isEmpty = true
            }
            if !isEmpty { line += " " }
            line += word
            isEmpty = false
        }
        writeLine(line, to: &output)
    }

    /// A command in one line, so that it can be pasted; the verdict, so that the first line has all of it.
    private func writeWhole(_ command: String, indent: String, to output: inout OutputBuffer) {
        writeLine(indent + TerminalText(escaping: Array(command.utf8)).string, to: &output)
    }

    private func writeLine(_ line: String, to output: inout OutputBuffer) {
        output.append(Array(line.utf8))
        output.append(byte: UInt8(ascii: "\n"))
    }
}
